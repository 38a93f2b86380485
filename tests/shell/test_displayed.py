"""Progress displays of several lines: the result has their final state only."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_runtime.shell.ansi import clean
from agent_runtime.shell.displayed import displayed
from agent_runtime.shell.settings import ShellSettings
from agent_runtime.shell.shell import Shell
from agent_runtime.shell.truncation import OutputStore

STEPS = [
    ("#1 a\n#2 b\n\x1b[2A\x1b[2K#1 a done\n\x1b[2K#2 b done\n", "#1 a done\n#2 b done"),
    ("before\n" + "".join(f"step {n}\n\x1b[1A\x1b[2K" for n in range(9)) + "after\n", "before\nafter"),
    (
        "\x1b[?25l[+] 0/2\n => one\n\x1b[2A\x1b[0G[+] 1/2\x1b[K\n => one ok\x1b[K\n => two\n"
        "\x1b[3A[+] 2/2\n\n => two ok\n\x1b[?25h",
        "[+] 2/2\n => one ok\n => two ok",
    ),
    ("a\nb\nc\n\x1b[3F\x1b[JA\n", "A"),
    ("a\nb\x1bMx\n\ny\n", "ax\nb\ny"),
    ("one\ntwo\n\x1b[1;1HONE\x1b[2;1HTWO\n", "ONE\nTWO"),
    ("one\ntwo\n\x1b[1dx", "xne\ntwo"),
    ("\x1b[99Atop\n", "top"),
    ("é漢\nb\n\x1b[2A\x1b[1Gx\n", "x漢\nb"),
    ("x\n" * 500 + "old\n\x1b[1A\x1b[2Knew\n", "x\n" * 500 + "new"),
    ("\x1b[31ma\x1b[0m\n\x1b[1A\x1b[2K\x1b[32mb\x1b[0m\n", "b"),
    ("nul\0\n\x1b[1A\x1b[4Gx", "nulx"),
]


@pytest.mark.parametrize(("printed", "seen"), STEPS)
def test_the_final_state_is_what_a_terminal_shows(printed: str, seen: str) -> None:
    assert displayed(printed).removesuffix("\n") == seen


@given(st.text(alphabet="ab \n\r\b\t\x1b[]0123;mKGJhl?\0é漢"))
def test_text_without_backward_movement_is_only_cleaned(text: str) -> None:
    assert displayed(text) == clean(text)


def test_the_time_is_linear_in_the_output() -> None:
    begun = time.process_time()
    for text in (
        "".join(f"\x1b[3A\x1b[2Kstep {n}\n\x1b[2Kb\n\x1b[2Kc\n" for n in range(40_000)),
        "\x1b[A" + "a line of text\n" * 100_000,
        "\x1b[9999A\n" * 100_000,
    ):
        displayed(text)
    assert time.process_time() - begun < 20  # seconds


@pytest.mark.anyio
@pytest.mark.parametrize("tokens", [10_000, 40])
@pytest.mark.parametrize("is_live", [True, False])
async def test_pieces_of_the_output_add_up_to_the_result(is_live: bool, tokens: int, tmp_path: Path) -> None:
    pieces: list[str] = []

    async def take(piece: str) -> None:
        pieces.append(piece)

    # each line is printed alone, so that it may be sent before the next one moves back to it
    command = r"""for n in 1 2 3; do printf 'layer %s\n' $n; sleep 0.05; done
    printf '\033[3A'; for n in 1 2 3; do printf '\033[2Klayer %s done\n' $n; done"""
    shell = Shell(
        ShellSettings(cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}, logs=OutputStore(tmp_path / "logs"))
    )
    try:
        result = await shell.run(
            command, timeout=20, call_id="c", tokens=tokens, on_output=take if is_live else None
        )
    finally:
        await shell.aclose(kill=True)
    if is_live:
        assert "".join(pieces) == result.text
        assert result.text.endswith("layer 3 done")
    else:
        assert result.text == "layer 1 done\nlayer 2 done\nlayer 3 done"
