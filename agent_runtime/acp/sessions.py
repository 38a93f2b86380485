"""The sessions that are kept: one small file each, beside the threads that hold their conversations."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from dataclasses import asdict, field
from datetime import UTC, datetime
from pathlib import Path

from agent_runtime.errors import RequestError
from agent_runtime.lazy import dataclass
from agent_runtime.protocol.cursors import decode_cursor, encode_cursor
from agent_runtime.protocol.request import THREAD_ID

_PAGE = 100
_TITLE = 80  # characters
_HIDDEN = re.compile(r"\.+")


@dataclass(frozen=True)
class KeptSession:
    """A session. Its id is that of its thread.

    Attributes:
        cwd: the folder that its tools work in.
        title: the beginning of the first prompt; empty before.
        updated: RFC 3339, UTC.
        options: the values of its configuration options.
        cost: US dollars of all its runs, as far as prices are known.
    """

    id: str
    cwd: str
    title: str = ""
    updated: str = ""
    options: dict[str, str] = field(default_factory=dict)
    cost: float = 0.0


class SessionFiles:
    """The sessions of a state directory. Everything here blocks, briefly."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / "acp"

    def save(self, session: KeptSession) -> None:
        """Write a session; a reader sees the old file or the new one. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(session.id)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(asdict(session)), "utf-8")
        temporary.replace(path)

    def get(self, id: str) -> KeptSession | None:
        """Return a session; None where there is none, or its file is damaged. Raises RequestError."""
        return _read(self._path(id))

    def delete(self, id: str) -> None:
        """Delete a session, if it exists. Raises RequestError."""
        self._path(id).unlink(missing_ok=True)

    def list(self, cwd: str | None, cursor: str | None) -> tuple[list[KeptSession], str | None]:
        """Return a page of sessions, the last used first, and the cursor of the next one. Raises RequestError.

        Args:
            cwd: only those of this folder.
            cursor: of the previous page.
        """
        found = [kept for path in self._folder.glob("*.json") if (kept := _read(path))]
        found = [kept for kept in found if cwd is None or kept.cwd == cwd]
        found.sort(key=_position, reverse=True)
        if cursor is not None:
            try:
                after = tuple(decode_cursor(cursor, (str, str)))
            except ValueError as error:
                raise RequestError("cursor", "expected the `nextCursor` of a previous page") from error
            found = [kept for kept in found if _position(kept) < after]
        page = found[:_PAGE]
        return page, encode_cursor(_position(page[-1])) if len(found) > _PAGE else None

    def _path(self, id: str) -> Path:
        if not re.fullmatch(THREAD_ID, id) or _HIDDEN.fullmatch(id):
            raise RequestError("sessionId", "expected 1 to 128 letters, digits, `.`, `_` or `-`")
        return self._folder / f"{id}.json"


def now() -> str:
    """Return the present time in the stored form."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def title_of(prompt: str) -> str:
    """Return the title of a session from its first prompt."""
    title = " ".join(prompt.split())
    return title if len(title) <= _TITLE else f"{title[: _TITLE - 1]}…"


def _position(kept: KeptSession) -> tuple[str, str]:
    return kept.updated, kept.id


def _read(path: Path) -> KeptSession | None:
    with suppress(OSError, ValueError, TypeError):
        return KeptSession(**json.loads(path.read_text("utf-8")))
    return None
