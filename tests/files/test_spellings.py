"""Paths as models write them: taken literally where that exists, otherwise as the one file that is meant."""

from __future__ import annotations

import pytest

from agent_runtime.errors import ToolError
from agent_runtime.files.editor import FileEditor
from agent_runtime.files.spellings import spellings
from tests.files.editor_fixture import EditorFixture

pytestmark = pytest.mark.anyio

CLEAN = [
    '"src/my a.py"',
    "'src/my a.py'",
    "`src/my a.py`",
    "\u201csrc/my a.py\u201d",
    " src/my a.py ",
    "src/my a.py\n",
    "\tsrc/my a.py",
    ".\\src\\my a.py",
    "src\\my a.py",
    "src\\\\my a.py",
    "src/my\\ a.py",
    "file://{folder}/src/my a.py",
    "file://{folder}/src/my%20a.py",
    "file:{folder}/src/my%20a.py",
    "FILE://localhost{folder}/src/my%20a.py",
    "file://./src/my%20a.py",
    "file://../{name}/src/my%20a.py",
    "~/src/my a.py",
    "$HOME/src/my a.py",
    "${HOME}/src/my a.py",
    "$PWD/src/my a.py",
    '" ./src/my a.py "\n',
]
LOCATED = [
    "src/my a.py:1",
    "src/my a.py:2-3",
    "src/my a.py:2:1",
    "src/my a.py:2:1-3:4",
    "src/my a.py:2: two",
    "src/my a.py:2-two",
    "src/my a.py:" + "2: " + "two " * 100,
    "src/my a.py:",
    "src/my a.py,",
    "src/my a.py:L2",
    "src/my a.py#L2",
    "src/my a.py#L2-L3",
    "src/my a.py(2)",
    "src/my a.py (lines 2-3)",
    "src/my a.py, line 2",
    "src/my a.py lines 2-3",
    "src/my a.py::test_two",
    "@src/my a.py",
    "[a](src/my a.py)",
    '"src/my a.py":2',
    '"src/my a.py:2"',
    "file://{folder}/src/my%20a.py#L2",
    ".\\src\\my a.py:2-3",
]


@pytest.fixture
def home(editor: EditorFixture) -> EditorFixture:
    editor.files = FileEditor(workspace=editor.folder, on_change=editor.note, home=editor.folder)
    (editor.folder / "src").mkdir()
    (editor.folder / "src/my a.py").write_text("one\ntwo\nthree\nfour\n")
    return editor


def _filled(path: str, editor: EditorFixture) -> str:
    return path.replace("{folder}", str(editor.folder)).replace("{name}", editor.folder.name)


@pytest.mark.parametrize("path", [*CLEAN, *LOCATED])
async def test_existing_files_are_found_under_another_spelling(path: str, home: EditorFixture) -> None:
    path = _filled(path, home)
    assert "two" in (await home.files.read(path, tokens=1000)).text
    assert "my a.py" in await home.replace(path, "two", "2")
    assert "M src/my a.py" in await home.patch(
        f"*** Begin Patch\n*** Update File: {path.strip()}\n-2\n+II\n*** End Patch"
    )
    assert home.tree() == {"src/my a.py": b"one\nII\nthree\nfour\n"}


@pytest.mark.parametrize("path", ["src/my a.py:2-3", "src/my a.py#L2-L3", '"src/my a.py", lines 2-3'])
async def test_line_numbers_in_a_path_select_the_lines_to_read(path: str, home: EditorFixture) -> None:
    read = (await home.files.read(path, tokens=1000)).text
    assert "two" in read
    assert "four" not in read
    assert "it was read as" in read
    assert "four" in (await home.files.read(path, 4, 4, tokens=1000)).text


@pytest.mark.parametrize("path", [path for path in CLEAN if ".." not in path and path[0] != "~"])
async def test_a_new_file_gets_the_clean_name_and_the_answer_says_so(path: str, home: EditorFixture) -> None:
    path = (
        _filled(path, home).replace("my a", "new b").replace("my%20a", "new%20b").replace("my\\ a", "new\\ b")
    )
    said = await home.files.write(path, "x\n", call_id="c")
    assert "src/new b.py" in said
    assert "it was read as" in said
    assert home.tree() == {"src/my a.py": b"one\ntwo\nthree\nfour\n", "src/new b.py": b"x\n"}


@pytest.mark.parametrize("path", LOCATED)
@pytest.mark.parametrize("exists", [True, False])
async def test_a_whole_file_is_not_written_or_deleted_where_the_path_names_a_line(
    path: str, exists: bool, home: EditorFixture
) -> None:
    path = _filled(path, home)
    if not exists:
        path = path.replace("my a", "new").replace("my%20a", "new")
    before = home.tree()
    with pytest.raises(ToolError, match=r"Give the path alone|name too long"):
        await home.files.write(path, "x\n", call_id="c")
    with pytest.raises(ToolError):
        await home.files.delete(path, call_id="c")
    await home.patch_refused(f"*** Begin Patch\n*** Add File: {path}\n+x\n*** End Patch")
    assert home.tree() == before


@pytest.mark.parametrize(
    "path", ["src/my a.py:1", '"a.py"', ".\\src\\x.py", "@x/a.py", "a.py ", "$HOME", "a%20b.py", "x::y.py"]
)
async def test_the_literal_name_takes_precedence(path: str, home: EditorFixture) -> None:
    target = home.folder / path
    target.parent.mkdir(exist_ok=True)
    target.write_text("literal\n")
    assert "literal" in (await home.files.read(path, tokens=1000)).text
    await home.replace(path, "literal", "changed")
    assert target.read_text() == "changed\n"
    await home.files.delete(path, call_id="c")
    assert set(home.tree()) == {"src/my a.py"}


async def test_several_spellings_that_exist_are_refused_by_name(home: EditorFixture) -> None:
    home.put(a_py="1\n")
    (home.folder / "a.py:1").write_text("2\n")
    with pytest.raises(ToolError, match=r"a\.py or a\.py:1 may be meant"):
        await home.files.read('"a.py:1"', tokens=100)


@pytest.mark.parametrize(
    "name", ["notes:1", "@scope", "12:30", "a b.py", "x(1)", "app/[id]/(group)/page.tsx", "C#"]
)
async def test_ordinary_new_names_are_kept(name: str, home: EditorFixture) -> None:
    await home.files.write(name, "x\n", call_id="c")
    assert home.tree()[name] == b"x\n"


@pytest.mark.parametrize(
    "path", ["a.py", "src/a.py", "/x/y.tar.gz", "..", "a b/c.d", "x-1:2/y.md", "weird[1].py"]
)
def test_an_ordinary_path_has_no_other_spelling(path: str) -> None:
    assert spellings(path) == []


def test_a_path_of_punctuation_has_few_spellings() -> None:
    assert len(spellings('"' * 500 + ":1" * 500 + '"' * 500)) <= 40
