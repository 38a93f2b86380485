"""`agent-runtime threads list | show | fork | delete`: the stored conversations."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from typing import Any

from pydantic.alias_generators import to_camel

from agent_runtime.conversation.plain_text import plain_text
from agent_runtime.conversation.threads.store import ThreadInfo, ThreadStore
from agent_runtime.engine.run_config import state_dir
from agent_runtime.errors import ExitCode, RequestError
from agent_runtime.output.event_writer import timestamp

_TITLE = 60  # characters


def threads_command(arguments: argparse.Namespace) -> int:
    """Execute one of the actions; returns the exit status."""
    try:
        store = ThreadStore(state_dir(arguments.state_dir, os.environ))
        try:
            _ACTIONS[arguments.action](store, arguments)
        finally:
            store.close()
    except RequestError as error:
        print(f"agent-runtime: {error}", file=sys.stderr)
        return ExitCode.INVALID_REQUEST
    return ExitCode.COMPLETED


def _list(store: ThreadStore, arguments: argparse.Namespace) -> None:
    found = store.list(agent=arguments.agent, limit=arguments.limit, cursor=arguments.cursor)
    if arguments.json:
        _print_json({"threads": list(map(_as_json, found.threads)), "nextCursor": found.cursor})
        return
    if not found.threads:
        print("there are no threads", file=sys.stderr)
    for thread in found.threads:
        updated = timestamp(thread.updated)[:16].replace("T", " ")
        title = thread.title if len(thread.title) <= _TITLE else f"{thread.title[: _TITLE - 1]}…"
        print(f"{thread.id:<30}  {updated}  {thread.messages:>5}  {thread.agent:<16}  {title}")
    if found.cursor:
        print(f"for the next threads: --cursor {found.cursor}", file=sys.stderr)


def _show(store: ThreadStore, arguments: argparse.Namespace) -> None:
    info = _existing(store, arguments.id)
    messages = store.record(info.id)
    if arguments.json:
        rows = [message.model_dump(mode="json", by_alias=True, exclude={"native"}) for message in messages]
        _print_json(_as_json(info) | {"messages": rows})
        return
    print(plain_text(messages, sys.maxsize))


def _fork(store: ThreadStore, arguments: argparse.Namespace) -> None:
    _existing(store, arguments.id)
    info = store.fork(arguments.id, arguments.new, at=arguments.at)
    print(f"{info.id}: {info.messages} messages")


def _delete(store: ThreadStore, arguments: argparse.Namespace) -> None:
    _existing(store, arguments.id)
    store.delete(arguments.id)
    print(f"{arguments.id} deleted")


_ACTIONS = {"list": _list, "show": _show, "fork": _fork, "delete": _delete}


def _existing(store: ThreadStore, id: str) -> ThreadInfo:
    info = store.get(id)
    if info is None:
        raise RequestError("ID", f"there is no thread {id!r}; `agent-runtime threads list` lists them")
    return info


def _as_json(info: ThreadInfo) -> dict[str, Any]:
    row = {to_camel(name): value for name, value in asdict(info).items()}
    row["messageCount"] = row.pop("messages")
    row["createdAt"], row["updatedAt"] = timestamp(row.pop("created")), timestamp(row.pop("updated"))
    return row


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))
