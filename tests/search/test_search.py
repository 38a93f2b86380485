"""Searching, with ripgrep and without: the same text for the model."""

from __future__ import annotations

import os
import shutil
import sys
from functools import partial
from pathlib import Path

import anyio
import pytest

from agent_runtime.errors import ToolError
from agent_runtime.search import ripgrep
from agent_runtime.search.report import Mode
from agent_runtime.system.processes import Process
from tests.files.editor_fixture import EditorFixture
from tests.support.waiting import until_async

pytestmark = pytest.mark.anyio


def tree(folder: Path) -> None:
    files = {
        ".gitignore": "*.log\n/build/\n!keep.log\nsub/only.txt\n**/deep/x\n",
        ".env": "needle=1",
        ".github/ci.yml": "needle",
        ".git/config": "needle",
        "a.log": "needle",
        "keep.log": "needle",
        "build/out": "needle",
        "sub/build/out": "needle",
        "sub/only.txt": "needle",
        "sub/.gitignore": "keep.log\n!a.log\n",
        "sub/a.log": "needle",
        "sub/keep.log": "needle",
        "sub/deep/x": "needle",
        "nested/.git/HEAD": "x",
        "nested/a.log": "needle",
        "sub.txt": "one\ntwo\nNeedle here\nthree\nneedle and needle\nfour\n",
        "sub-x": "needle",
        "crlf": "x\r\nneedle\r\ny\r\n",
        "long": "a" * 5_000 + "needle" + "b" * 5_000 + "\n",
        "é": "needle é\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode())
    (folder / "binary").write_bytes(b"needle\n" * 20_000 + b"\0")
    (folder / "wide").write_bytes("needle ä\n".encode("utf-16"))
    (folder / "latin").write_bytes(b"needle \xe9\n")
    (folder / os.fsdecode(b"name\xe9")).write_bytes(b"needle\n")
    (folder / "link").symlink_to("sub.txt")
    (folder / "linked").symlink_to("sub")


SEARCHES: list[dict[str, object]] = [
    {},
    {"ignore_case": True, "context": 1},
    {"context": 2, "path": "sub.txt"},
    {"path": "sub"},
    {"path": "build"},
    {"path": "sub/deep"},
    {"path": "nested"},
    {"glob": "*.txt"},
    {"glob": "!*.txt"},
    {"glob": "sub/**"},
    {"glob": "*.{yml,log}"},
    {"mode": "files"},
    {"mode": "count"},
    {"limit": 3},
    {"limit": 3, "context": 1},
    {"pattern": "needle$"},
    {"pattern": "^needle"},
    {"pattern": r"\bneedle\b.*needle"},
    {"pattern": "needle [éä]"},
    {"pattern": "need(?=le)"},
    {"pattern": "n..dle (", "literal": True},
    {"pattern": "(unclosed"},
    {"pattern": "nothing like it"},
    {"tokens": 30},
]


@pytest.mark.usefixtures("scans_here")
@pytest.mark.parametrize("git", [True, False], ids=["repository", "folder"])
@pytest.mark.parametrize("search", SEARCHES, ids=str)
async def test_both_engines_return_the_same_text(
    editor: EditorFixture, search: dict[str, object], git: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(editor.folder)
    if not git:
        shutil.rmtree(editor.folder / ".git")
        # ripgrep's versions differ on what this means outside of one
        shutil.rmtree(editor.folder / "nested/.git")
    said: list[str] = []
    for present in (True, False):
        monkeypatch.setattr(ripgrep, "available", lambda present=present: present)
        options = {"pattern": "needle", "path": ".", "limit": 100, "tokens": 10_000} | search
        try:
            said.append(await editor.search.grep(**options))  # type: ignore[arg-type]
        except ToolError as error:
            said.append(f"refused: {error}")
    assert said[0] == said[1]
    assert ("[PosixPath" in said[0]) is False


@pytest.mark.usefixtures("scans_here")
@pytest.mark.parametrize(
    "pattern", ["*", "*.txt", "sub/*", "**/deep/**", "LOG", "b", "*.{txt,log}", "nothing"]
)
async def test_both_engines_find_the_same_names(
    editor: EditorFixture, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(editor.folder)
    said: list[str] = []
    for present in (True, False):
        monkeypatch.setattr(ripgrep, "available", lambda present=present: present)
        said.append(await editor.search.files(pattern, ".", limit=100, tokens=1_000))
    assert said[0] == said[1]


async def test_matches_are_listed_in_order_with_context(editor: EditorFixture, engine: bool) -> None:
    tree(editor.folder)
    assert (await editor.search.grep("needle", ".", mode="files", limit=100, tokens=1_000)).split("\n") == [
        ".env", ".github/ci.yml", "crlf", "keep.log", "latin", "long", "name\ufffd", "nested/a.log",
        "sub/a.log", "sub/build/out", "sub-x", "sub.txt", "wide", "é",
    ]  # fmt: skip
    assert await editor.search.grep("needle", "sub.txt", context=1, limit=9, tokens=1_000) == (
        "sub.txt-4-three\nsub.txt:5:needle and needle\nsub.txt-6-four"
    )
    assert await editor.search.files("SUB.t", ".", limit=9, tokens=1_000) == "sub.txt"
    long = await editor.search.grep("needle", "long", limit=9, tokens=1_000)
    assert len(long) < 450
    assert "needle" in long


async def test_bounds_are_reported(editor: EditorFixture, engine: bool) -> None:
    editor.put(a="x\n" * 1_000)
    modes: tuple[Mode, ...] = ("content", "files", "count")
    said = [await editor.search.grep("x", ".", mode=mode, limit=2, tokens=1_000) for mode in modes]
    assert said == [
        "a:1:x\na:2:x\n[the first 2 matches; there are more: narrow the search, or raise the limit]",
        "a",
        "a:1000",
    ]


LEGACY = {
    "latin": "Preis: für Größe\n".encode("latin-1"),
    "windows": "Preis: „für Größe“ – €\n".encode("cp1252"),
    "utf8": "Preis: für Größe\n".encode(),
    "wide": "Preis: für Größe\n".encode("utf-16"),
}


@pytest.mark.parametrize(
    "pattern", ["für", "Gr.ße", "Gr\\w+e", r"F.R gRÖSSE|Größe", "[^a-z ]r ", "Preis.*ße", "Größe"]
)
@pytest.mark.parametrize("ignore_case", [False, True])
async def test_text_that_is_not_utf8_is_found(
    editor: EditorFixture, engine: bool, pattern: str, ignore_case: bool
) -> None:
    """As the read tool shows it, in the order of the names."""
    for name, data in LEGACY.items():
        (editor.folder / name).write_bytes(data)
    found = await editor.search.grep(pattern, ".", ignore_case=ignore_case, limit=9, tokens=999)
    assert found.split("\n") == [
        "latin:1:Preis: für Größe", "utf8:1:Preis: für Größe", "wide:1:Preis: für Größe",
        "windows:1:Preis: „für Größe“ – €",
    ]  # fmt: skip


async def test_a_line_that_is_too_long_for_ripgrep(editor: EditorFixture, engine: bool) -> None:
    """Files before it are reported once."""
    editor.put(a="needle\n", b="x" * 40_000_000 + "needle\n", c="needle\n")
    found = await editor.search.grep("needle", ".", mode="count", limit=9, tokens=999)
    assert found == "a:1\nb:1\nc:1"
    found = await editor.search.grep("needle", "b", limit=9, tokens=999)
    assert found == f"b:1:...{'x' * 394}needle"


async def test_many_matches_in_a_file_are_bounded(editor: EditorFixture, engine: bool) -> None:
    editor.put(a="needle\n" * 3_001, b="x\nneedle\n")
    assert (
        await editor.search.grep("needle(?=)|needle", ".", mode="count", limit=9, tokens=999) == "a:3001\nb:1"
    )


async def test_cancelling_leaves_nothing_running(
    editor: EditorFixture, engine: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "search"
    program.write_text("#!/bin/sh\necho $$ > pid.new; mv pid.new pid; exec sleep 600\n")
    program.chmod(0o755)
    (tmp_path / "rg").symlink_to("search")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(sys, "executable", str(program))
    program.write_text(program.read_text().replace("pid", f"{tmp_path}/pid"))
    editor.put(a="x\n")
    async with anyio.create_task_group() as tasks:
        search = partial(editor.search.grep, limit=2, tokens=100)
        tasks.start_soon(search, "word" if engine else "(?<=a)word", ".")
        await until_async((tmp_path / "pid").exists)
        tasks.cancel_scope.cancel()
    process = Process.of(int((tmp_path / "pid").read_text()))
    assert process is None or process.gone


async def test_absolute_globs_bracketed_names_and_multiline_patterns_work(
    editor: EditorFixture, engine: bool
) -> None:
    """Absolute globs, names with brackets; a pattern over several lines."""
    (editor.folder / "src").mkdir()
    editor.put(a="x\ny\n")
    (editor.folder / "src/a").write_text("x\n")
    assert (
        await editor.search.grep("x", ".", glob=f"{editor.folder}/a", mode="files", limit=9, tokens=99) == "a"
    )
    assert (
        await editor.search.grep("x", ".", glob=f"!{editor.folder}/src/**", mode="files", limit=9, tokens=99)
        == "a"
    )
    (editor.folder / "src/[id].ts").touch()
    assert (
        await editor.search.files(f"{editor.folder}/src/*", ".", limit=9, tokens=99) == "src/[id].ts\nsrc/a"
    )
    assert await editor.search.files("src/[id].{ts,js}", ".", limit=9, tokens=99) == "src/[id].ts"
    for pattern in ("x\ny", r"x\ny"):
        said = await editor.search.grep(pattern, ".", limit=9, tokens=99)
        assert said == "No matches. Patterns are matched line by line."


async def test_keys_are_not_in_the_environment_of_ripgrep(
    editor: EditorFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rg = tmp_path / "rg"
    rg.write_text(f"#!/bin/sh\nenv > {tmp_path}/seen\n")
    rg.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    assert await editor.search.grep("x", ".", limit=1, tokens=100) == "No matches."
    assert "sk-secret" not in (tmp_path / "seen").read_text()


@pytest.mark.anyio
@pytest.mark.parametrize(
    "pattern",
    [
        '"src/a b.py"',
        "`a b.py`",
        " src/a b.py ",
        ".\\src\\a b.py",
        "src/a b.py:10",
        "a b.py#L3",
        "file://{0}/src/a%20b.py",
    ],
)
async def test_a_name_is_found_under_another_spelling(pattern: str, editor: EditorFixture) -> None:
    (editor.folder / "src").mkdir()
    (editor.folder / "src/a b.py").write_text("x")
    found = await editor.search.files(pattern.format(editor.folder), ".", limit=5, tokens=1000)
    assert found.startswith("src/a b.py\n")
    assert "it was read as" in found
    assert "No files" in await editor.search.files('"src/c.py"', ".", limit=5, tokens=1000)
