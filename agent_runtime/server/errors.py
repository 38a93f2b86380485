"""Errors of the API, and the bodies of its answers.

An answer is `{"data": ..., "meta": {...}}`; an error is `{"error": {"code", "message", "requestId"}}`, or problem
details (RFC 9457) where the client's `Accept` asks for them.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response

from agent_runtime.conversation.threads.store import ThreadStoreError
from agent_runtime.errors import RequestError

NO_STORE = {"Cache-Control": "no-store"}


class ApiError(Exception):
    """An answer that is not a success.

    Args:
        status: HTTP status.
        code: for programs.
        message: for people: what is wrong, and what to do.
        headers: of the answer.
        details: further members of the error, such as `field`.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: dict[str, str] | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers, self.details = headers or {}, details or {}

    @classmethod
    def of(cls, error: RequestError) -> ApiError:
        """The answer to a request that the runtime refuses."""
        if isinstance(error, ThreadStoreError):
            return cls(500, "internal_error", str(error))
        if error.field == "threadId" and "in use" in str(error):
            return cls(409, "conflict", str(error), headers={"Retry-After": "1"})
        return cls(400, "invalid_request", str(error), details=dict(error.details))


def not_found(what: str) -> ApiError:
    """The answer for something that does not exist."""
    return ApiError(404, "not_found", f"there is no {what}")


def expired(what: str, *, oldest: int | None) -> ApiError:
    """The answer for something that no longer exists. `oldest` is the number of the oldest event that is kept."""
    return ApiError(410, "cursor_expired", what, details={"oldest": oldest})


def in_progress() -> ApiError:
    """The answer while another request with this key is being handled."""
    message = "a request with this Idempotency-Key is in progress"
    return ApiError(409, "conflict", message, headers={"Retry-After": "1"})


def stopping() -> ApiError:
    """The answer of a server that is stopping."""
    message = (
        "the server is being stopped; send the request again, with the same Idempotency-Key if it had one"
    )
    return ApiError(503, "unavailable", message, headers={"Retry-After": "1"})


def answer(
    connection: HTTPConnection,
    data: Any,
    *,
    headers: dict[str, str] | None = None,
    status: int = 200,
    **meta: Any,
) -> JSONResponse:
    """A success. `meta` is added to the request's id."""
    body = {"data": data, "meta": {"requestId": connection.state.request_id, **meta}}
    return JSONResponse(body, status_code=status, headers=NO_STORE | (headers or {}))


def error_response(connection: HTTPConnection, error: ApiError) -> Response:
    """The body and the headers of an error."""
    request_id = getattr(connection.state, "request_id", None)
    headers = NO_STORE | error.headers
    if "application/problem+json" in connection.headers.get("accept", ""):
        problem = {
            "type": f"urn:agent-runtime:error:{error.code}",
            "title": HTTPStatus(error.status).phrase,
            "status": error.status,
            "detail": error.message,
            "code": error.code,
            "requestId": request_id,
            **error.details,
        }
        return JSONResponse(
            problem, status_code=error.status, headers=headers, media_type="application/problem+json"
        )
    body = {"code": error.code, "message": error.message, "requestId": request_id, **error.details}
    return JSONResponse({"error": body}, status_code=error.status, headers=headers)
