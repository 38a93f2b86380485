"""`agent-runtime threads`: listing, printing, copying and deleting stored conversations."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from agent_runtime.conversation.threads.store import ThreadStore
from agent_runtime.protocol.messages import AssistantMessage, Text, ToolCall, ToolResult, UserMessage
from tests.support.commands import command

Threads = Callable[..., CompletedProcess[str]]


@pytest.fixture
def threads(tmp_path: Path) -> Threads:
    """The command, on a state directory with one thread of two turns, the first with a call."""
    store = ThreadStore(tmp_path)
    call = ToolCall(id="c1", name="bash", arguments='{"command": "ls"}', input={"command": "ls"})
    result = ToolResult(id="c1", name="bash", content=(Text(text="a.txt"),))
    store.append(
        "t1",
        "code-assistant",
        [
            UserMessage.of("list the files"),
            AssistantMessage(blocks=(call,)),
            UserMessage(blocks=(result,)),
            AssistantMessage(blocks=(Text(text="there is a.txt"),)),
            UserMessage.of("thanks"),
            AssistantMessage(blocks=(Text(text="you are welcome"),)),
        ],
    )
    store.close()

    def execute(*arguments: str, code: int = 0) -> CompletedProcess[str]:
        state = ("--state-dir", str(tmp_path))
        done = command("threads", arguments[0], *state, *arguments[1:], state=tmp_path / "other")
        assert done.returncode == code, done.stderr
        return done

    return execute


def test_threads_are_listed_and_printed(threads: Threads) -> None:
    assert "list the files" in threads("list").stdout
    assert threads("list", "--agent", "other").stdout == ""
    [row] = json.loads(threads("list", "--json").stdout)["threads"]
    assert (row["id"], row["messageCount"], row["agent"]) == ("t1", 6, "code-assistant")
    text = threads("show", "t1").stdout
    assert text.index("list the files") < text.index("a.txt") < text.index("you are welcome")
    assert len(json.loads(threads("show", "t1", "--json").stdout)["messages"]) == 6


@pytest.mark.parametrize(("turn", "messages"), [("1", 3), ("2", 4), ("3", 6)])
def test_a_copy_ends_with_the_turn(turn: str, messages: int, threads: Threads) -> None:
    assert threads("fork", "t1", "--at", turn, "--as", "t2").stdout == f"t2: {messages} messages\n"
    assert len(json.loads(threads("show", "t2", "--json").stdout)["messages"]) == messages


def test_a_copy_without_a_turn_is_complete_and_outlives_the_original(threads: Threads) -> None:
    assert threads("fork", "t1", "--as", "t2").stdout == "t2: 6 messages\n"
    threads("delete", "t1")
    assert "you are welcome" in threads("show", "t2").stdout
    assert "there is no thread 't1'" in threads("show", "t1", code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "none"), "there is no thread 'none'"),
        (("delete", "none"), "there is no thread 'none'"),
        (("fork", "t1", "--as", "t1"), "an id that is not in use"),
        (("fork", "t1", "--at", "4", "--as", "t2"), "expected a turn from 1 to 3, got 4"),
        (("fork", "t1", "--as", "../t2"), "threadId"),
        (("list", "--cursor", "x"), "cursor: expected"),
    ],
)
def test_invalid_arguments_are_reported(arguments: tuple[str, ...], message: str, threads: Threads) -> None:
    assert message in threads(*arguments, code=2).stderr
