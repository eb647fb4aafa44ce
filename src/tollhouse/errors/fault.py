"""What every failure has in common. Imported through `tollhouse.errors`."""

from typing import Any, ClassVar


class Fault(Exception):
    """A failure with everything needed to tell a client about it.

    ``headers`` are added to the response (for example ``retry-after``, integer seconds).
    """

    status: int = 500
    type: str = "server_error"
    code: str | None = None
    error_id: ClassVar[str] = "INTERNAL_ERROR"
    retryable: ClassVar[bool] = False
    """Whether another *target* may succeed where this one failed."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        if code is not None:
            self.code = code
        self.headers = headers or {}

    def body(self, request_id: str) -> dict[str, Any]:
        """The JSON object of the response: ``{"error": {...}}``."""
        return {
            "error": {
                "message": self.message,
                "type": self.type,
                "param": self.param,
                "code": self.code,
                "error_id": self.error_id,
                "request_id": request_id,
            }
        }


def let_go(error: BaseException | None) -> None:
    """Drops the tracebacks of an exception that was dealt with, and of those behind it.

    A traceback holds frames, frames hold the request with all its bytes, and somewhere among them the exception is held
    too: a cycle, which would stay until the garbage collector looks.
    """
    while error is not None:
        error.__traceback__ = None
        error = error.__context__
