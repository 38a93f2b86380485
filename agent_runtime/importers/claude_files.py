"""The files of Claude Code: which lines belong to which sub-agent, and the files of sub-agents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from agent_runtime.errors import TranscriptError
from agent_runtime.importers.merged import Tagged
from agent_runtime.importers.session import MAIN
from agent_runtime.importers.session_lines import SessionLines, read_lines

_MAX_AGENTS = 1_000


def tagged(lines: SessionLines) -> Iterator[Tagged]:
    """Yield each line of a file once; those of a sub-agent have the id of its first line as their chain."""
    chains: dict[str, str] = {}
    for value in lines.values:
        uuid = value.get("uuid")
        if isinstance(uuid, str) and uuid in chains:
            continue
        chain = MAIN
        if value.get("isSidechain"):
            chain = chains.get(str(value.get("parentUuid"))) or str(value.get("agentId") or uuid)
        if isinstance(uuid, str):
            chains[uuid] = chain
        yield Tagged(chain, value)


def agent_files(path: Path, session: str) -> Iterator[Path]:
    """Yield the files of the sub-agents of a session, by its file and its id."""
    folder = path.absolute().parent
    names = dict.fromkeys(
        name for name in (path.name.split(".jsonl")[0], session) if name and "/" not in name
    )
    if not path.name.startswith("agent-"):
        for name in names:
            yield from sorted((folder / name / "subagents").glob("agent-*.jsonl*"))[:_MAX_AGENTS]
        for other in sorted(folder.glob("agent-*.jsonl*"))[:_MAX_AGENTS]:
            try:
                head = read_lines(other, 1 << 18).values
            except TranscriptError:
                continue
            if session and head and head[0].get("sessionId") == session:
                yield other


def agent_lines(path: Path) -> Iterator[Tagged]:
    """Yield the lines of the file of a sub-agent; none when it cannot be read."""
    name = path.name.split(".jsonl")[0].removeprefix("agent-")
    try:
        values = read_lines(path).values
    except TranscriptError:
        return
    for value in values:
        yield Tagged(name, value)
