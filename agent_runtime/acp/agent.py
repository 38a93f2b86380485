"""The agent's side of ACP: the methods that a client calls, on sessions that are threads of the state directory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from acp import schema
from acp.exceptions import RequestError as AcpError
from pydantic import ValidationError

from agent_runtime.acp.history import history_updates
from agent_runtime.acp.open_sessions import OpenSessions, Session
from agent_runtime.acp.options import checked, config_options
from agent_runtime.acp.prompt_run import PromptRun
from agent_runtime.acp.prompts import mcp_servers, request_message
from agent_runtime.acp.sessions import now, title_of
from agent_runtime.acp.updates import RunUpdates
from agent_runtime.conversation.threads.store import ThreadBusy, ThreadStoreError
from agent_runtime.errors import RequestError
from agent_runtime.version import VERSION

Json = dict[str, Any]
PROTOCOL_VERSION = 1


class Client(Protocol):
    """The connection to the client."""

    async def send_notification(self, method: str, params: Any = None) -> None:
        """Send a notification."""

    async def send_request(self, method: str, params: Any = None) -> Any:
        """Send a request, and return its result. Raises acp's RequestError, or ConnectionError."""


class Agent:
    """Handles the messages of one client.

    Args:
        client: the connection.
        state_dir: holds threads and sessions.
        environ: the environment, with the keys of the models.
        values: the configuration values of new sessions; see options.initial_values.
        request: fields of every request, such as `agent`.
        socket: of a standby server that executes the runs, while there is one.
    """

    def __init__(
        self,
        client: Client,
        *,
        state_dir: Path,
        environ: Mapping[str, str],
        values: Mapping[str, str],
        request: Mapping[str, Any],
        socket: Path | None = None,
    ) -> None:
        self._client, self._environ, self._socket = client, environ, socket
        self._state_dir, self._request = state_dir, dict(request)
        self._sessions = OpenSessions(state_dir, values)
        self._forms = False
        self._methods: dict[str, tuple[Any, Callable[[Any], Awaitable[Json | None]]]] = {
            "initialize": (schema.InitializeRequest, self._initialize),
            "session/new": (schema.NewSessionRequest, self._new),
            "session/load": (schema.LoadSessionRequest, self._load),
            "session/resume": (schema.ResumeSessionRequest, self._resume),
            "session/list": (schema.ListSessionsRequest, self._list),
            "session/prompt": (schema.PromptRequest, self._prompt),
            "session/cancel": (schema.CancelNotification, self._cancel),
            "session/close": (schema.CloseSessionRequest, self._close),
            "session/delete": (schema.DeleteSessionRequest, self._delete),
            "session/set_config_option": (schema.SetSessionConfigOptionSelectRequest, self._configure),
        }

    async def handle(self, method: str, params: Any, is_notification: bool) -> Json | None:
        """Handle one message; returns the result of a request. Raises acp's RequestError."""
        if method not in self._methods:
            if is_notification:
                return None
            raise AcpError.method_not_found(method)
        model, handler = self._methods[method]
        try:
            return await handler(model.model_validate(params if params is not None else {}))
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(map(str, problem["loc"]))
            raise AcpError.invalid_params({"field": field, "message": problem["msg"]}) from error
        except ThreadBusy as error:
            raise AcpError.invalid_request({"message": str(error)}) from error
        except RequestError as error:
            raise AcpError.invalid_params({"field": error.field, "message": str(error)}) from error
        except (OSError, ThreadStoreError) as error:
            raise AcpError.internal_error({"message": str(error)}) from error

    async def aclose(self) -> None:
        """Cancel all runs, and wait until they have ended."""
        await self._sessions.aclose()

    async def _initialize(self, request: schema.InitializeRequest) -> Json:
        client = request.client_capabilities
        elicitation = client.elicitation if client else None
        self._forms = elicitation is not None and elicitation.form is not None
        return {
            "protocolVersion": PROTOCOL_VERSION,
            "agentInfo": {"name": "agent-runtime", "title": "agent-runtime", "version": VERSION},
            "agentCapabilities": {
                "loadSession": True,
                "promptCapabilities": {"image": True, "audio": False, "embeddedContext": True},
                "mcpCapabilities": {"http": True, "sse": False},
                "sessionCapabilities": {"list": {}, "resume": {}, "close": {}, "delete": {}},
            },
            "authMethods": [],
        }

    async def _new(self, request: schema.NewSessionRequest) -> Json:
        session = self._sessions.create(request.cwd, mcp_servers(request.mcp_servers))
        return {"sessionId": session.kept.id, "configOptions": self._options(session)}

    async def _load(self, request: schema.LoadSessionRequest) -> Json:
        session, messages = await self._sessions.open(
            request.session_id, request.cwd, mcp_servers(request.mcp_servers or ())
        )
        for update in history_updates(messages, session.kept.cwd):
            await self._update(session.kept.id, update)
        return {"configOptions": self._options(session)}

    async def _resume(self, request: schema.ResumeSessionRequest) -> Json:
        session, _ = await self._sessions.open(
            request.session_id, request.cwd, mcp_servers(request.mcp_servers or ())
        )
        return {"configOptions": self._options(session)}

    async def _list(self, request: schema.ListSessionsRequest) -> Json:
        page, cursor = await asyncio.to_thread(self._sessions.page, request.cwd, request.cursor)
        listed = [
            {"sessionId": kept.id, "cwd": kept.cwd, "title": kept.title or None, "updatedAt": kept.updated}
            for kept in page
        ]
        return {"sessions": listed} | ({"nextCursor": cursor} if cursor else {})

    async def _prompt(self, request: schema.PromptRequest) -> Json:
        session = self._sessions.known(request.session_id)
        if session.active:
            raise AcpError.invalid_request({"message": "a prompt of this session is still going on"})
        text, parts = request_message(request.prompt)
        kept = session.kept
        updates = RunUpdates(kept.cwd, cost=kept.cost)
        session.active = PromptRun(
            kept.id,
            updates,
            lambda update: self._update(kept.id, update),
            self._client.send_request,
            forms=self._forms,
            socket=self._socket,
        )
        session.ended.clear()
        try:
            if not kept.title:
                kept = replace(kept, title=title_of(text))
                info = {"sessionUpdate": "session_info_update", "title": kept.title, "updatedAt": now()}
                await self._update(kept.id, info)
            return await session.active.run(self._body(session, text, parts), kept.cwd)
        finally:
            session.active = None
            session.ended.set()
            self._sessions.update(session, title=kept.title, updated=now(), cost=updates.cost)

    async def _cancel(self, request: schema.CancelNotification) -> None:
        await self._sessions.cancel(request.session_id)

    async def _close(self, request: schema.CloseSessionRequest) -> Json:
        await self._sessions.close(request.session_id)
        return {}

    async def _delete(self, request: schema.DeleteSessionRequest) -> Json:
        await self._sessions.delete(request.session_id)
        return {}

    async def _configure(self, request: schema.SetSessionConfigOptionSelectRequest) -> Json:
        session = self._sessions.known(request.session_id)
        options = checked(request.config_id, request.value, session.kept.options, self._environ)
        self._sessions.update(session, options=options)
        return {"configOptions": self._options(session)}

    def _body(self, session: Session, text: str, parts: Iterable[Json]) -> Json:
        options = session.kept.options
        body = self._request | {
            "prompt": text,
            "parts": list(parts),
            "threadId": session.kept.id,
            "partial": True,
            "askUser": options["ask_user"] == "on",
            "mcpServers": session.servers,
            "stateDir": str(self._state_dir),
        }
        if options["model"]:
            body["model"] = options["model"]
        if options["effort"] != "default":
            body["config"] = {"effort": options["effort"]}
        return body

    def _options(self, session: Session) -> list[Json]:
        return config_options(session.kept.options, self._environ)

    async def _update(self, id: str, update: Json) -> None:
        await self._client.send_notification("session/update", {"sessionId": id, "update": update})
