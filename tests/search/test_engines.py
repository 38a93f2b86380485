"""The two search engines give the same answers: with ripgrep, and in Python."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import anyio
import pytest

from agent_runtime.errors import ToolError
from agent_runtime.files.path_resolver import PathResolver
from agent_runtime.files.worker import FileWorker
from agent_runtime.git.ignore_tree import Ignore
from agent_runtime.search import ripgrep
from agent_runtime.search.search import Searcher
from tests.files.editor_fixture import EditorFixture

pytestmark = pytest.mark.anyio

PATTERNS = r"""
needle ^$ n.dle caf. [^a]needle needle$ \s$ ^\s \d+ \w+\W \bk\b straße STRASSE foo.bar \x{e9} \p{L}+$ \p{Lu}
[[:alpha:]]{3} [[:punct:]] [[abc]d] [[] []x] [x x{ a{2,} (x) \(x\) a|b * a)|(b ] ) ( n(?i:EED)le (?x)n(?#e)
(?P<n>needle) (n)\1 n(?=e) (?<!n)e \Aneedle \t \n [^x] \. é+ [é] (needle)? (|needle) -- -e #h $HOME
"""


def put_unusual_files(editor: EditorFixture) -> None:
    """Put files of several encodings and line ends, and with characters of which there are several cases."""
    editor.put(
        crlf="x\r\nneedle\r\nfoo \r\n", cr="a\rfoo bar\rb", empty="", lines="\n\n", open="needle",
        latin=b"caf\xe9 needle\nn\xe9dle\n\xff\xfe\n", bom="\ufeffneedle\n", nul=b"needle\n\0",
        le="\ufeffneedle ä\r\n".encode("utf-16-le"), be="\ufeffneedle ä\n".encode("utf-16-be"),
        words="straße STRASSE ſ K k σας ΣΑΣ\nÉé Ǆ ǆ\n١٢ 12\nfoo\u2028bar\nfoo\x0cbar\n",
        special="a.b\na+b\n(x)\n[x]\n{x}\n\\d\n^a$\na|b\n$HOME\n#h\n-- e\n-e\n\tx\n",
    )  # fmt: skip


async def both(editor: EditorFixture, monkeypatch: pytest.MonkeyPatch, **options: object) -> list[str]:
    said: list[str] = []
    for present in (True, False):
        monkeypatch.setattr(ripgrep, "available", lambda present=present: present)
        try:
            said.append(await editor.search.grep(**{"path": ".", "limit": 999, "tokens": 99_999} | options))  # type: ignore[arg-type]
        except ToolError as error:
            said.append(f"refused: {error}")
    return said


@pytest.mark.usefixtures("scans_here")
@pytest.mark.parametrize("options", [{}, {"ignore_case": True}, {"literal": True}], ids=str)
async def test_patterns_match_the_same_in_both_engines(
    editor: EditorFixture, monkeypatch: pytest.MonkeyPatch, options: dict[str, object]
) -> None:
    put_unusual_files(editor)
    found = {
        pattern: await both(editor, monkeypatch, pattern=pattern, **options)
        for pattern in [*PATTERNS.split(), "", "\0"]
    }
    assert {pattern: said for pattern, said in found.items() if said[0] != said[1]} == {}
    assert sum("No matches" not in said[0] and "refused" not in said[0] for said in found.values()) > 10


@pytest.mark.usefixtures("scans_here")
@pytest.mark.parametrize("name", ["nul", "latin", "le", "open", "empty"])
async def test_the_path_of_a_file(editor: EditorFixture, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """ripgrep would search a binary file whose path is given up to the NUL."""
    put_unusual_files(editor)
    editor.put(nul=b"needle\n" * 20_000 + b"\0")
    there, fallback = await both(editor, monkeypatch, pattern="needle", path=name)
    assert there == fallback
    assert (name in ("nul", "empty")) == (there == "No matches.")


RULES = {
    ".gitignore": "*.log\n/build/\n!keep.log\n#c\n\\#x\ntrail  \nesc\\ \nq?x\n[!c]w\n**/deep/x\nd/**/e\nw/**\n!w/keep\n"
    "*.t[xy]t\r\n",
    ".ignore": "dot\n!seen.log\n",
    ".rgignore": "rg\n!dot\n",
    "exc/.gitignore": "*\n!.gitignore\n!yes\n!sub/\n",
    "in/.gitignore": "!*.log\n*.md\n/only\n",
    "in/.ignore": "no.log\n",
    ".git/HEAD": "",
    "in/repo/.git/HEAD": "",
}  # fmt: skip
NAMES = """
a.log keep.log seen.log build/o sub/build/o #x trail qax qx cw aw p/deep/x deep/x d/e d/1/2/e w/keep w/o/k f.txt
dot rg in/dot in/a.log in/no.log in/a.md in/only in/x/only in/repo/a.log in/repo/b.md exc/no exc/yes exc/sub/yes
exc/sub/no sort/a/b sort/a-b sort/a.b sort/A sort/é sort/𝒳 sort/～ .hidden/f -dash
"""
SEARCHED = """
-dash .hidden/f cw dot exc/sub/yes exc/yes in/a.log in/dot in/repo/a.log in/repo/b.md in/x/only keep.log qx seen.log
sort/A sort/a-b sort/a.b sort/a/b sort/é sort/～ sort/𝒳 sub/build/o w/keep
"""


def put_tree(editor: EditorFixture, rules: dict[str, str]) -> None:
    for name, text in (rules | dict.fromkeys([*NAMES.split(), "new\nline"], "needle\n")).items():
        (editor.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (editor.folder / name).write_text(text)
    (editor.folder / "link").symlink_to("keep.log")
    os.mkfifo(editor.folder / "sort/fifo")


@pytest.mark.usefixtures("scans_here")
async def test_the_same_files_whatever_is_ignored_where(
    editor: EditorFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_tree(editor, RULES)
    for path in (".", "in", "in/x", "in/repo", "exc", "exc/sub", "build", "w", "w/o", "d/1", "sort"):
        there, fallback = await both(editor, monkeypatch, pattern="needle", path=path, mode="files")
        assert there == fallback, path
    found, _ = await both(editor, monkeypatch, pattern="needle", mode="files")
    assert sorted(found.split("\n")) == sorted([*SEARCHED.split(), "line", "new"])


def would_be_added(folder: Path) -> set[str]:
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    command = ["git", "-c", "core.quotePath=false", "ls-files", "--others", "--exclude-standard"]
    names = subprocess.run(
        command, cwd=folder, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    return {name for name in names if "link" not in name and "line" not in name}


async def test_the_files_that_git_would_add(editor: EditorFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    put_tree(editor, {name: text for name, text in RULES.items() if name.endswith(".gitignore")})
    wanted = would_be_added(editor.folder)
    for present in (True, False):
        monkeypatch.setattr(ripgrep, "available", lambda present=present: present)
        found = (await editor.search.files("*", ".", limit=999, tokens=9_999)).split("\n")
        assert set(found) - {"new", "line"} == wanted


async def test_a_match_in_a_line_of_five_megabytes_is_found(
    editor: EditorFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is reported once, not five million times."""
    editor.put(long="-" + "a" * 5_000_000 + "\n")
    there, fallback = await both(editor, monkeypatch, pattern="a")
    assert there == fallback == f"long:1:-{'a' * 399}..."


async def test_a_fifo_as_gitignore_is_not_read(
    editor: EditorFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(editor.folder / ".gitignore")
    editor.put(a="x\n")
    monkeypatch.setattr(ripgrep, "available", lambda: False)
    assert await editor.search.grep("x", ".", limit=9, tokens=99) == "a:1:x"
    assert await editor.files.entries(".", depth=2, tokens=99) == ".gitignore\na"


async def test_directories_deeper_than_the_recursion_limit_are_searched(
    editor: EditorFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = editor.folder
    for _ in range(1_200):
        folder /= "a"
        folder.mkdir()
    (folder / "f").write_text("needle\n")
    try:
        there, fallback = await both(editor, monkeypatch, pattern="needle", mode="files")
        assert there == fallback == "a/" * 1_200 + "f"
        assert not Ignore.at(folder).ignores("f", is_folder=False)
    finally:  # shutil.rmtree is recursive
        await anyio.run_process(["rm", "-r", str(editor.folder / "a")])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take another user's rights")
@pytest.mark.parametrize("pattern", ["für", "(?<=f)ür"])
async def test_both_engines_have_the_rights_of_the_tool_user(
    monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        for file, mode, codec in (("a", 0o644, "latin-1"), ("b", 0o600, "utf-8"), ("c", 0o644, "utf-16")):
            (folder / file).write_bytes("für\n".encode(codec))
            (folder / file).chmod(mode)
        searcher = Searcher(PathResolver(folder, None), FileWorker("games"))
        for present in (True, False):
            monkeypatch.setattr(ripgrep, "available", lambda present=present: present)
            assert await searcher.grep(pattern, ".", limit=9, tokens=999) == "a:1:für\nc:1:für"


def test_parentheses_that_close_the_group_around_a_pattern() -> None:
    assert all(map(ripgrep._closes_too_much, ["a)(b", ")", "[^])](a))", r"\\)"]))
    assert not any(map(ripgrep._closes_too_much, [r"\)", "[)]", "[^])](a)", "((", r"(\))", "[[:alpha:])]"]))
