"""What a policy has looked for in a prompt beside the classifier: its lists and topics, and personal data.

`gateway.moderations` and ``tollhouse safety check`` ask it, so that both say what a prompt would meet.
"""

from tollhouse.safety.lists import Lists
from tollhouse.safety.personal.finding import find
from tollhouse.safety.policy import Policy
from tollhouse.safety.results import PERSONAL
from tollhouse.types.safety import HIGH, Finding, Verdict, joined


def is_listing(policy: Policy) -> bool:
    """Whether a policy has anything looked for in a prompt beside the classifier."""
    return bool(policy.kinds or policy.blocklists or policy.topics)


def with_listed(verdict: Verdict, text: str, policy: Policy, lists: Lists) -> Verdict:
    """A verdict with what a policy's lists, topics and kinds of personal data find: itself where that is nothing."""
    kinds = dict.fromkeys(found.kind for found in find(text, policy.kinds)) if policy.kinds else {}
    found = (*lists.find(text, policy), *(Finding(PERSONAL, HIGH, detail=kind) for kind in kinds))
    return joined(verdict, Verdict(found)) if found else verdict
