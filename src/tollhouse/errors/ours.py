"""Our fault. Imported through `tollhouse.errors`."""

from tollhouse.errors.fault import Fault


class OurFault(Fault):
    """The gateway failed."""


class InternalError(OurFault):
    """A bug. The request id finds it in the log."""

    code = "internal_error"


class Draining(OurFault):
    """The gateway is shutting down."""

    status = 503
    type = "service_unavailable_error"
    code = "server_draining"
    error_id = "SERVER_DRAINING"


class StorageUnavailable(OurFault):
    """The database does not answer. Never shown as a bad key."""

    status = 503
    type = "service_unavailable_error"
    code = "storage_unavailable"
    error_id = "STORAGE_UNAVAILABLE"
