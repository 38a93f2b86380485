"""What is masked before two runs of the same commands are compared."""

from __future__ import annotations

import re

import pytest

from agent_runtime.transcripts.masks import Masks, renamed, volatile


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("see /work/a.py and /work", "see <workspace>/a.py and <workspace>"),
        ("/workshop and /my/work/a", "/workshop and /my/work/a"),
        (
            "whole: /home/u/.local/state/agent-runtime/runs/run_01-A/output/c1.log",
            "whole: <run>/output/c1.log",
        ),
        ("'/state/runs/r1/logs/x' of /state/runs/r2/diffs", "'<run>/logs/x' of <run>/diffs"),
        ("the project's own /srv/runs/first/data", "the project's own /srv/runs/first/data"),
    ],
)
def test_paths_of_the_workspace_and_of_the_run_are_replaced(text: str, masked: str) -> None:
    assert renamed("/work")(text) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("at 2026-11-28T10:11:12.5Z", "at <time>"),
        ("Ran 3 tests in 0.004s", "Ran 3 tests in <duration>"),
        ("http://localhost:41234/ and port 8000", "http://localhost:<port>/ and port 8000"),
        ("pid 4711", "pid <pid>"),
        ("[1] 4711", "[job] <pid>"),
        ("/tmp/tmpab12/x", "<tmp>/x"),
        ("commit 1a2b3c4", "commit <hash>"),
        ("object at 0x7f12ab34", "object at <address>"),
        ("3 files, 12 lines", "3 files, 12 lines"),
    ],
)
def test_values_that_vary_between_runs_are_masked(text: str, masked: str) -> None:
    assert volatile(text) == masked


def test_what_is_masked_depends_on_the_options() -> None:
    text = "pid 12, build 77"
    build = [re.compile(r"build \d+")]
    assert Masks(executed=True).output(text) == "pid <pid>, build 77"
    assert Masks(executed=False).output(text) == text
    assert Masks(executed=True, strict=True, extra=build).output(text) == "pid 12, <masked>"
    assert Masks(executed=True, extra=build).content(text) == "pid 12, <masked>"


def test_dates_in_prompts_are_masked() -> None:
    mask = Masks(executed=False).prompts("/work")
    assert mask("Date: 2026-11-28, workspace /work") == "Date: <date>, workspace <workspace>"
