"""Ignore rules held against `git check-ignore`, and their cost, which no pattern may drive up."""

from __future__ import annotations

import os
import random
import subprocess
import time
from pathlib import Path

import pytest

from agent_runtime.git.ignore_patterns import Rules, parse
from agent_runtime.git.wildmatch import PatternSet

PIECES = r"""
a b c ab aba / / * * ** *** **/ /** /**/ ? [a] [!a] [a-c] [^/] [] [[:alpha:]] [[:x:]] \ \* \/ - ] . A é
"""
SETS = r"""
[]] []-a] [a-] [-a] [\]] [!]] [a\-c] [c-a] [[:alpha:]-z] [[:a] [[:] [[::]] [a-\c] [^!] [[] [/] [a/b] [!/] [
"""
CLASSES = [f"[[:{name}:]]" for name in (
    "alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "xdigit"
)]  # fmt: skip


def ignored(rules: Rules | None, path: str) -> bool:
    """As git asks: the directories on the way first. What the path names is a file."""
    parts = os.fsencode(path).split(b"/")
    for n in range(1, len(parts) + 1):
        if rules and rules.ignores(b"/".join(parts[:n]), parts[n - 1], n < len(parts)):
            return True
    return False


def git_ignores(folder: Path, files: list[bytes], paths: list[str]) -> list[list[bool]]:
    """For each `.gitignore`, which of the paths git ignores below it."""
    subprocess.run(["git", "init", "-q", folder], check=True)
    for i, text in enumerate(files):
        (folder / str(i)).mkdir()
        (folder / str(i) / ".gitignore").write_bytes(text)
    asked = [f"{i}/{path}" for i in range(len(files)) for path in paths]
    done = subprocess.run(
        ["git", "-c", "core.excludesFile=", "check-ignore", "-z", "--stdin", "--no-index"],
        cwd=folder, input="\0".join(asked).encode("utf-8", "surrogateescape"), capture_output=True, check=False,
    )  # fmt: skip
    named = {os.fsdecode(path) for path in done.stdout.split(b"\0")}
    return [[f"{i}/{path}" in named for path in paths] for i in range(len(files))]


def assert_as_git(folder: Path, files: list[bytes], paths: list[str]) -> None:
    theirs = git_ignores(folder, files, paths)
    ours = [[ignored(parse(text, b"", None), path) for path in paths] for text in files]
    wrong = [
        (text, path, git)
        for text, row, git_row in zip(files, ours, theirs, strict=True)
        for path, mine, git in zip(paths, row, git_row, strict=True)
        if mine != git
    ]
    assert wrong == []
    assert any(map(any, theirs))


@pytest.mark.parametrize("seed", range(6))
def test_random_patterns_match_as_in_git(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    names = ["a", "b", "c", "ab", "aba", "abab", "A", "é", "a.b", "[", "*", "a-", "]"]
    paths = sorted({"/".join(rng.choices(names, k=rng.randrange(1, 6))) for _ in range(60)})
    globs = [
        "".join(rng.choices(PIECES.split() + SETS.split()[: seed * 4], k=rng.randrange(1, 7)))
        for _ in range(400)
    ]
    assert_as_git(tmp_path, [glob.encode() for glob in globs], paths)


@pytest.mark.parametrize("seed", range(2))
def test_the_last_pattern_of_a_file_decides(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    globs = ["a", "/a", "a/", "*", "*b", "a*", "**/b", "a/**", "[ab]", "/*/b/", "?", "c", "a/*", "a/b"]
    files = [
        "\n".join(rng.choice(["", "!"]) + rng.choice(globs) for _ in range(rng.randrange(1, 7)))
        for _ in range(300)
    ]
    paths = sorted({"/".join(rng.choices("abc", k=rng.randrange(1, 4))) for _ in range(60)})
    assert_as_git(tmp_path, [text.encode() for text in files], paths)


def test_sets_match_as_in_git(tmp_path: Path) -> None:
    files = [glob.encode() for glob in [*SETS.split(), *CLASSES, *(f"x{glob}y" for glob in SETS.split())]]
    characters = [chr(code) for code in range(1, 128) if chr(code) not in "/."] + [os.fsdecode(b"\xe9")]
    assert_as_git(tmp_path, files, [*characters, *(f"x{char}y" for char in characters)])


def test_lines_are_read_as_in_git(tmp_path: Path) -> None:
    files = [
        *(
            b"a \n",
            b"a\\ \n",
            b"a\\  ",
            b"a\r\n",
            b"a\\\r\n",
            b"\xef\xbb\xbfa\n",
            b"#a",
            b"\\#a",
            b"!a",
            b"\\!a",
        ),
        *(b" a", b"a\0b\n", b"a\t", b"a\n!a\n", b"/", b"//", b"//a", b"/a/", b"!", b"\r\n", b"\\"),
        *(b"***", b"a/***", b"***/b"),
    ]
    paths = [
        "a",
        "a ",
        " a",
        "a\r",
        "#a",
        "!a",
        "a\\",
        "a\t",
        "\ufeffa",
        "b",
        "b/a",
        "a/b",
        "x/y/b",
        "a\\\r",
        "\\",
    ]
    assert_as_git(tmp_path, files, paths)


HOSTILE = {
    "stars": ("*a*a*a*a*a*a*a*a*b", "a" * 250),
    "directories": ("**/a/" * 9 + "b", "a/" * 40 + "a"),
    "both": ("**/*a*a/" * 12 + "b", "aaaa/" * 60 + "a"),
    "question marks": ("*?" * 120 + "b", "a" * 250),
    "sets": ("*[ab]" * 100 + "c", "ab" * 120),
    "stars and slashes": ("*/" * 40 + "**/" * 3 + "*x", "a/" * 100 + "a"),
    "longest": ("*a" * 4_000 + "b", "a" * 250),
    "no literal": ("*" + "?*" * 200, "a" * 100),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_no_pattern_backtracks(name: str) -> None:
    glob, path = HOSTILE[name]
    rules = parse(glob.encode(), b"", None)
    began = time.process_time()
    for _ in range(20):
        assert not ignored(rules, path)
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "lines",
    [
        [f"/generated/file{i}.txt" for i in range(20_000)],
        [f"{'!' * (i % 2)}file{i}" for i in range(20_000)],
        [f"*.suffix{i}" for i in range(20_000)],
        [f"prefix{i}*" for i in range(20_000)],
        [f"a/**/f{i}" for i in range(20_000)],
        [f"**/f{i}/*.o" for i in range(20_000)],
        [f"*x{i}*" for i in range(20_000)],
    ],
    ids=["paths", "signs", "suffixes", "prefixes", "below", "directories", "inside"],
)
def test_twenty_thousand_lines_are_cheap(lines: list[str]) -> None:
    began = time.process_time()
    rules = parse("\n".join(lines).encode(), b"", None)
    for i in range(200):
        ignored(rules, f"src/package{i}/module.py")
    assert time.process_time() - began < 2
    name = lines[-2].replace("**/", "").replace("*", "").strip("/")
    assert ignored(rules, name)


def test_the_number_of_the_last_match_is_given() -> None:
    globs = [b"a*", b"*a", b"a", b"?", b"**/a", b"b*b"]
    patterns = PatternSet(enumerate(globs))
    found = {text: patterns.last(text) for text in (b"a", b"ab", b"ba", b"b", b"x/a", b"bb", b"cc")}
    assert found == {b"a": 4, b"ab": 0, b"ba": 1, b"b": 3, b"x/a": 4, b"bb": 5, b"cc": -1}
