"""What the client raises."""

from __future__ import annotations

import httpx2

from agent_runtime.errors import AgentRuntimeError


class ApiError(Exception):
    """The server refused a request.

    Attributes:
        status: the HTTP status.
        code: the code of the error, such as `not_found` or `invalid_request`.
        message: what was wrong.
        request_id: identifies the request in the server's log.
        retry_after: seconds after which the request may be repeated; None when the server names none.
    """

    def __init__(
        self, status: int, code: str, message: str, *, request_id: str | None, retry_after: float | None
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message = status, code, message
        self.request_id, self.retry_after = request_id, retry_after

    @classmethod
    def of(cls, response: httpx2.Response) -> ApiError:
        """Return the error of a response that has been read."""
        try:
            error = response.json()["error"]
            code, message = str(error["code"]), str(error["message"])
        except (ValueError, KeyError, TypeError):
            code, message = "http_error", response.text[:500] or response.reason_phrase
        try:
            retry_after = float(response.headers["retry-after"])
        except (ValueError, KeyError):
            retry_after = None
        request_id = response.headers.get("x-request-id")
        return cls(response.status_code, code, message, request_id=request_id, retry_after=retry_after)

    @property
    def temporary(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status == 429 or self.status >= 500


class StreamLost(AgentRuntimeError):
    """The stream was interrupted, and could not be continued within the allowed number of attempts."""
