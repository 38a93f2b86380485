"""Patterns that are not valid, or that would take too long or too much memory."""

from __future__ import annotations

import resource
import time
from contextlib import suppress

import anyio
import pytest

from agent_runtime.errors import ToolError
from tests.files.editor_fixture import EditorFixture

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("pattern", ["(unclosed", "[z-a]", "*a"])
async def test_an_invalid_pattern_is_reported(editor: EditorFixture, engine: bool, pattern: str) -> None:
    editor.put(a="x\n")
    with pytest.raises(ToolError, match="The pattern is not a regular expression"):
        await editor.search.grep(pattern, ".", limit=2, tokens=100)


async def test_a_pattern_that_backtracks_without_end(editor: EditorFixture, engine: bool) -> None:
    editor.put(a="a" * 40 + "b\n")
    with anyio.fail_after(120):
        if engine:  # ripgrep does not backtrack
            assert await editor.search.grep(r"(a|aa)+$", ".", limit=2, tokens=100) == "No matches."
        else:
            with pytest.raises(ToolError, match="takes too long"):
                await editor.search.grep(r"(a|aa)+$", ".", limit=2, tokens=100)


HOSTILE = {
    "backtracking": (r"(a|aa)+$", "a" * 60 + "b"),
    "backreference": (r"(a*)*\1b", "a" * 60),
    "lookahead": (r"(?=(a+)+$)b", "a" * 60 + "c"),
    "counts": (r"(?:a{99999}){99999}", "a" * 5_000),
    "counts of counts": (r"((a{1,300}){1,300}){1,300}$", "a" * 2_000 + "b"),
    "groups": ("(" * 3_000 + "a" + ")" * 3_000, "a"),
    "sets": ("[" * 3_000, "a"),
    "long": ("a?" * 20_000 + "a" * 2_000, "a" * 2_000),
    "very long": ("x" * 300_000, "a"),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_no_pattern_blocks_the_loop_or_uses_up_memory(
    editor: EditorFixture, engine: bool, name: str
) -> None:
    pattern, text = HOSTILE[name]
    editor.put(a=text + "\n")
    # CPU time: a machine that is busy with something else adds nothing to it
    longest, last = 0.0, time.process_time()

    async def beat() -> None:
        nonlocal longest, last
        while True:
            await anyio.sleep(0.02)
            now = time.process_time()
            longest, last = max(longest, now - last), now

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with anyio.fail_after(120):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(beat)
            with suppress(ToolError):
                assert await editor.search.grep(pattern, ".", limit=2, tokens=100)
            tasks.cancel_scope.cancel()
    assert longest < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KiB
