"""The error tree: every failure a client can see, split by whose fault it is.

Fault
├── ClientFault      the request is wrong; the same request will fail again
│   ├── InvalidRequest        400   (param names the path; code says which limit)
│   ├── Unauthorized          401
│   ├── Forbidden             403
│   ├── Unpriced              403   no price is known, and the operator did not call it free
│   ├── AccountSuspended      403   the key is good, what it hangs on is switched off
│   ├── ModelNotFound         404
│   ├── RouteNotFound         404
│   ├── ObjectNotFound        404   no organisation, team, user, key ... of this id, or not one that the caller may see
│   ├── MethodNotAllowed      405
│   ├── Conflict              409   what the request names is not in a state for it
│   ├── IdempotencyConflict   409   the first request of this Idempotency-Key runs, or has no answer to give again
│   ├── IdempotencyMismatch   422   this Idempotency-Key stands for another request
│   ├── MaxCostExceeded       402   the request may cost more than its own X-Max-Cost-Usd
│   ├── ContentPolicyViolation 400  the prompt is not let through by its safety policy
│   ├── InvalidSignature      400   a payment event that nobody we know signed
│   ├── RequestTimeout        408   the client sent its request too slowly
│   ├── PayloadTooLarge       413
│   ├── UnsupportedMedia      415
│   └── HeadersTooLarge       431
├── PolicyFault      the request is fine, the operator's rules say not now
│   ├── InsufficientBalance   402   the request may cost more than there is
│   ├── RateLimited           429
│   ├── Overloaded            503
│   └── SafetyUnavailable     503   the prompt could not be judged, and nothing passes without that
├── UpstreamFault    another machine failed; trying the next target may help
│   ├── UpstreamUnreachable   502   refused, reset before a byte, no such host (UpstreamDns), TLS (UpstreamTls)
│   ├── UpstreamProtocol      502   not HTTP, too large (UpstreamTooLarge), redirect (UpstreamRedirect)
│   ├── UpstreamBadResponse   502   HTTP, but not the answer of a model (UpstreamBadJson: not the JSON it was asked for)
│   ├── UpstreamInterrupted   502   the answer broke off; UpstreamStalled: it stopped moving
│   ├── UpstreamTimeout       504
│   ├── UpstreamAuth          502   our credential was refused (never 401: it is not the client's key)
│   ├── UpstreamRateLimited   429
│   ├── UpstreamUnavailable   503   the host says it cannot (UpstreamQuota: no money left), or every target failed
│   └── UpstreamRejected      4xx   the host refused this request; its status is kept (UpstreamModelMissing: 404,
│                                   UpstreamFiltered: its rules about content refused it,
│                                   UpstreamUnfit: 400, the target does not honour what the client insists on,
│                                   JsonCutShort: 400, the JSON that was asked for did not fit into the cap)
└── OurFault         500 InternalError, 503 Draining, StorageUnavailable

``web`` turns a Fault into JSON in one place. ``message`` is always safe to show: an upstream's own text is used
only where `UpstreamRejected` received it from an allow-listed field. ``type`` and ``code`` follow OpenAI's
vocabulary, ``error_id`` is the stable upper-case name that documentation and dashboards use.
"""

from tollhouse.errors.client import (
    AccountSuspended,
    ClientFault,
    Conflict,
    ContentPolicyViolation,
    Forbidden,
    HeadersTooLarge,
    IdempotencyConflict,
    IdempotencyMismatch,
    InvalidRequest,
    InvalidSignature,
    MaxCostExceeded,
    MethodNotAllowed,
    ModelNotFound,
    ObjectNotFound,
    PayloadTooLarge,
    RequestTimeout,
    RouteNotFound,
    Unauthorized,
    Unpriced,
    UnsupportedMedia,
)
from tollhouse.errors.fault import (
    Fault,
    let_go,
)
from tollhouse.errors.ours import (
    Draining,
    InternalError,
    OurFault,
    StorageUnavailable,
)
from tollhouse.errors.policy import (
    InsufficientBalance,
    Overloaded,
    PolicyFault,
    RateLimited,
    SafetyUnavailable,
)
from tollhouse.errors.upstream import (
    JsonCutShort,
    UpstreamAuth,
    UpstreamBadJson,
    UpstreamBadResponse,
    UpstreamDns,
    UpstreamFault,
    UpstreamFiltered,
    UpstreamInterrupted,
    UpstreamModelMissing,
    UpstreamProtocol,
    UpstreamQuota,
    UpstreamRateLimited,
    UpstreamRedirect,
    UpstreamRejected,
    UpstreamStalled,
    UpstreamTimeout,
    UpstreamTls,
    UpstreamTooLarge,
    UpstreamUnavailable,
    UpstreamUnfit,
    UpstreamUnreachable,
)

__all__ = [
    "AccountSuspended",
    "ClientFault",
    "Conflict",
    "ContentPolicyViolation",
    "Draining",
    "Fault",
    "Forbidden",
    "HeadersTooLarge",
    "IdempotencyConflict",
    "IdempotencyMismatch",
    "InsufficientBalance",
    "InternalError",
    "InvalidRequest",
    "InvalidSignature",
    "JsonCutShort",
    "MaxCostExceeded",
    "MethodNotAllowed",
    "ModelNotFound",
    "ObjectNotFound",
    "OurFault",
    "Overloaded",
    "PayloadTooLarge",
    "PolicyFault",
    "RateLimited",
    "RequestTimeout",
    "RouteNotFound",
    "SafetyUnavailable",
    "StorageUnavailable",
    "Unauthorized",
    "Unpriced",
    "UnsupportedMedia",
    "UpstreamAuth",
    "UpstreamBadJson",
    "UpstreamBadResponse",
    "UpstreamDns",
    "UpstreamFault",
    "UpstreamFiltered",
    "UpstreamInterrupted",
    "UpstreamModelMissing",
    "UpstreamProtocol",
    "UpstreamQuota",
    "UpstreamRateLimited",
    "UpstreamRedirect",
    "UpstreamRejected",
    "UpstreamStalled",
    "UpstreamTimeout",
    "UpstreamTls",
    "UpstreamTooLarge",
    "UpstreamUnavailable",
    "UpstreamUnfit",
    "UpstreamUnreachable",
    "let_go",
]
