"""SIGKILL at any moment leaves a thread that resumes, and whose history a strict provider takes."""

from __future__ import annotations

import itertools
import os
import random
import signal
from pathlib import Path

import pytest

from agent_runtime.agent.model import ModelCall
from agent_runtime.conversation.normalize import normalize
from agent_runtime.conversation.threads.store import ThreadStore
from agent_runtime.conversation.tool_pairs import INTERRUPTED
from agent_runtime.protocol.messages import Message, ToolResult
from agent_runtime.providers.anthropic.encode import AnthropicMessages
from agent_runtime.providers.endpoints import resolve
from agent_runtime.testing.model_checks import violations
from tests.conversation.messages import call, model, result, user

KILLS = 100


def write(state: Path, id: str, begun: int) -> None:
    """A run that never ends: a turn is stored, then the result of its call, and so on; a byte is sent for each."""
    thread = ThreadStore(state).open(id, agent="a")
    thread.append(user("task"))
    os.write(begun, b".")
    for number in itertools.count():
        thread.append(model(call(f"c{number}")))
        os.write(begun, b".")
        thread.append(user(result(f"c{number}", f"output {number} " + "x" * 5_000)))
        os.write(begun, b".")


def kill_while_writing(state: Path, id: str, after: int) -> None:
    """Let a process write, and kill it while it writes the message after so many."""
    reading, begun = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            write(state, id, begun)
        finally:
            os._exit(1)
    os.close(begun)
    try:
        for _ in range(after):
            assert os.read(reading, 1) == b"."
    finally:
        os.kill(child, signal.SIGKILL)
        os.close(reading)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def check(stored: list[Message]) -> bool:
    """A whole history up to some message; was it cut between a call and its result?"""
    whole: list[Message] = [user("task")]
    for number in range(len(stored)):
        whole.append(model(call(f"c{number}")))
        whole.append(user(result(f"c{number}", f"output {number} " + "x" * 5_000)))
    assert stored == whole[: len(stored)]
    return len(stored) % 2 == 0


# Python 3.12 warns of forking beside the threads of a parallel test run; the children here touch none of them
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_thread_killed_at_any_moment_resumes(tmp_path: Path) -> None:
    wire = AnthropicMessages(resolve("anthropic:claude-sonnet-4-5", {"ANTHROPIC_API_KEY": "k"}))
    moments = random.Random(7)
    cut = 0
    for kill in range(KILLS):
        kill_while_writing(tmp_path, f"t{kill}", moments.randint(1, 12))
        store = ThreadStore(tmp_path)
        thread = store.open(f"t{kill}", agent="a")
        between = check(thread.messages)
        cut += between
        assert thread.append(user("go on"))
        messages = normalize(store.messages(f"t{kill}")).messages
        body, _ = wire.encode(ModelCall(model="m", system="", messages=messages))
        assert violations("anthropic", body, set()) == []
        texts = [block.text for block in messages[-1].blocks if isinstance(block, ToolResult)]
        assert (INTERRUPTED in texts) == between
        thread.close()
        store.close()
    assert 0 < cut < KILLS
    store = ThreadStore(tmp_path)
    assert len(store.list(limit=200).threads) == KILLS
    store.close()
