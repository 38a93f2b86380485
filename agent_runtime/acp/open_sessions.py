"""The sessions that a client has created, loaded or resumed on its connection."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from acp.exceptions import RequestError as AcpError

from agent_runtime.acp.prompt_run import PromptRun
from agent_runtime.acp.sessions import KeptSession, SessionFiles, now
from agent_runtime.conversation.threads.store import ThreadStore
from agent_runtime.errors import RequestError
from agent_runtime.protocol.messages import Message

_NOT_FOUND = -32002  # "Resource not found" in the error codes of ACP


@dataclass
class Session:
    """An open session.

    Attributes:
        kept: its stored fields.
        servers: its MCP servers, as in the request field `mcpServers`.
        active: the run of the prompt that is going on.
        ended: set when that run has ended.
    """

    kept: KeptSession
    servers: dict[str, Any] = field(default_factory=dict)
    active: PromptRun | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class OpenSessions:
    """The open sessions of one client.

    Args:
        state_dir: holds threads and sessions.
        values: the configuration values of new sessions; see options.initial_values.
    """

    def __init__(self, state_dir: Path, values: Mapping[str, str]) -> None:
        self._state_dir, self._files, self._values = state_dir, SessionFiles(state_dir), dict(values)
        self._open: dict[str, Session] = {}

    def create(self, cwd: str, servers: dict[str, Any]) -> Session:
        """Create a session. Raises RequestError where `cwd` is not a folder, OSError."""
        kept = KeptSession(f"acp-{uuid4().hex}", _folder(cwd), updated=now(), options=self._values)
        self._files.save(kept)
        session = self._open[kept.id] = Session(kept, servers)
        return session

    def known(self, id: str) -> Session:
        """Return an open session. Raises acp's RequestError where it is not open."""
        if (session := self._open.get(id)) is None:
            raise AcpError(_NOT_FOUND, f"unknown session {id!r:.140}: create, load or resume it first")
        return session

    async def open(self, id: str, cwd: str, servers: dict[str, Any]) -> tuple[Session, list[Message]]:
        """Open a session that was kept, and return it with its messages.

        Raises acp's RequestError where there is none or its prompt is going on, RequestError, ThreadStoreError.
        """
        cwd = _folder(cwd)
        kept = self._files.get(id)
        messages = await asyncio.to_thread(self._messages, id)
        if kept is None and not messages:
            raise AcpError(_NOT_FOUND, f"there is no session {id!r:.140}")
        known = self._open.get(id)
        if known and known.active:
            raise AcpError.invalid_request({"message": "a prompt of this session is still going on"})
        kept = kept or KeptSession(id, cwd, updated=now())
        kept = replace(kept, cwd=cwd, options=self._values | kept.options)
        session = self._open[id] = Session(kept, servers)
        return session, messages

    def page(self, cwd: str | None, cursor: str | None) -> tuple[list[KeptSession], str | None]:
        """Return a page of the kept sessions; see SessionFiles.list. Blocks briefly."""
        return self._files.list(cwd, cursor)

    def update(self, session: Session, **changes: Any) -> None:
        """Change stored fields of a session, unless it was closed or deleted. Raises OSError."""
        session.kept = replace(session.kept, **changes)
        if self._open.get(session.kept.id) is session:
            self._files.save(session.kept)

    async def cancel(self, id: str) -> None:
        """Cancel the prompt of a session, if one is going on."""
        session = self._open.get(id)
        if session and session.active:
            await session.active.cancel()

    async def close(self, id: str) -> None:
        """Cancel the prompt of an open session, wait for its end, and close the session. Raises acp's RequestError."""
        self.known(id)
        await self._stop(id)
        self._open.pop(id, None)

    async def delete(self, id: str) -> None:
        """Close a session and delete it with its thread. Raises RequestError, ThreadStoreError, OSError."""
        await self._stop(id)
        self._open.pop(id, None)
        await asyncio.to_thread(self._delete, id)

    async def aclose(self) -> None:
        """Cancel the prompts of all sessions, and wait for their ends."""
        await asyncio.gather(*(self._stop(id) for id in list(self._open)))

    async def _stop(self, id: str) -> None:
        session = self._open.get(id)
        if session and session.active:
            await session.active.cancel()
            await session.ended.wait()

    def _messages(self, id: str) -> list[Message]:
        with closing(ThreadStore(self._state_dir)) as store:
            return store.record(id)

    def _delete(self, id: str) -> None:
        with closing(ThreadStore(self._state_dir)) as store:
            store.delete(id)
        self._files.delete(id)


def _folder(cwd: str) -> str:
    path = Path(cwd)
    if "\0" in cwd or not path.is_absolute() or not path.is_dir():
        raise RequestError("cwd", f"expected the absolute path of a folder, got {cwd!r:.200}")
    return str(path)
