"""Which files a glob or a part of a path selects, however it is spelled."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent_runtime.errors import ToolError
from agent_runtime.search.globs import Globs, part_of_path
from tests.files.editor_fixture import EditorFixture

FILES = [
    "src/a.py",
    "src/b.ts",
    "src/deep/c.py",
    "src/[id].tsx",
    "src/x,y.txt",
    "src/#h.py",
    "lib/a.js",
    "a.min.js",
    "é/ü.py",
    "README",
]


def selected(test: type[Globs] | object, pattern: str, folder: Path, workspace: Path) -> list[str]:
    selects = test(pattern, folder, workspace)  # type: ignore[operator]
    return [name for name in FILES if (workspace / name).is_relative_to(folder) and selects(workspace / name)]


@pytest.mark.parametrize(
    ("glob", "names"),
    [
        ("*.py,*.ts", ["src/a.py", "src/b.ts", "src/deep/c.py", "src/#h.py", "é/ü.py"]),
        ("*.ts, *.tsx", ["src/b.ts", "src/[id].tsx"]),
        ("*.{ts,tsx}", ["src/b.ts", "src/[id].tsx"]),
        ("*.{t{s,sx},js}", ["src/b.ts", "src/[id].tsx", "lib/a.js", "a.min.js"]),
        ("*.js,!*.min.js", ["lib/a.js"]),
        ("!*.py,!*.js", ["src/b.ts", "src/[id].tsx", "src/x,y.txt", "README"]),
        ("src/*.py", ["src/a.py", "src/#h.py"]),
        ("./src/*.py", ["src/a.py", "src/#h.py"]),
        ("src//./*.py", ["src/a.py", "src/#h.py"]),
        ("lib/../src/*.py", ["src/a.py", "src/#h.py"]),
        ("/src/*.py", ["src/a.py", "src/#h.py"]),
        ("{workspace}/src/*.py", ["src/a.py", "src/#h.py"]),
        ("{workspace}/**/c.*", ["src/deep/c.py"]),
        ("src/[id].tsx", ["src/[id].tsx"]),
        ("src/[a].py", ["src/a.py"]),
        ("x,y.*", ["src/x,y.txt"]),
        ("#*", ["src/#h.py"]),
        ("src/deep", ["src/deep/c.py"]),
        ("src/deep/", ["src/deep/c.py"]),
        ("e\u0301/u\u0308.*", ["é/ü.py"]),
        ("**", FILES),
        ("[", []),
        ("'*.tsx'", ["src/[id].tsx"]),
        ('"*.ts", "*.tsx"', ["src/b.ts", "src/[id].tsx"]),
        ("`src/*.py`", ["src/a.py", "src/#h.py"]),
        ("file://{workspace}/src/*.py", ["src/a.py", "src/#h.py"]),
        ("$PWD/src/*.py", ["src/a.py", "src/#h.py"]),
        ("*.js,!'*.min.js'", ["lib/a.js"]),
        ("src/\\[id\\].tsx", ["src/[id].tsx"]),
    ],
)
def test_globs_match_names_and_paths(tmp_path: Path, glob: str, names: list[str]) -> None:
    assert selected(Globs, glob.replace("{workspace}", str(tmp_path)), tmp_path, tmp_path) == names


@pytest.mark.parametrize(
    "glob", ["src/**/*.py", "**/*.py", "*.py", "./src/**/*.py", "{workspace}/src/**/*.py"]
)
def test_globs_relative_to_the_workspace_or_the_directory(tmp_path: Path, glob: str) -> None:
    glob = glob.replace("{workspace}", str(tmp_path))
    found = selected(Globs, glob, tmp_path / "src", tmp_path)
    assert found == ["src/a.py", "src/deep/c.py", "src/#h.py"]


PARTS = ["src/a.py", "./src/a.py", "src//a.py", "lib/../src/a.py", "SRC/A.py", "src\\a.py", "/src/a.py"]


@pytest.mark.parametrize("part", PARTS)
def test_partial_paths_are_found(tmp_path: Path, part: str) -> None:
    assert selected(part_of_path, part, tmp_path, tmp_path) == ["src/a.py"]
    assert selected(part_of_path, f"{tmp_path}/src/a.py", tmp_path, tmp_path) == ["src/a.py"]
    assert selected(part_of_path, f"{tmp_path}/./src//a.py", tmp_path / "src", tmp_path) == ["src/a.py"]
    assert selected(part_of_path, "src/a.py", tmp_path / "src", tmp_path) == ["src/a.py"]
    assert selected(part_of_path, "u\u0308", tmp_path, tmp_path) == ["é/ü.py"]
    assert selected(part_of_path, "./", tmp_path, tmp_path) == FILES


def test_a_workspace_that_is_reached_by_a_symlink(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link"
    link.symlink_to("real")
    real = tmp_path / "real"
    for workspace in (link, real):
        assert Globs(f"{workspace}/src/*.py", real, link)(real / "src/a.py")
        assert part_of_path(f"{workspace}/src/a.py", real, link)(real / "src/a.py")


@pytest.mark.parametrize("glob", ["{a,b}" * 20, "{" * 2_000, ",".join("*.{a,b}" * 2 for _ in range(3_000))])
def test_alternatives_are_bounded(tmp_path: Path, glob: str) -> None:
    try:
        assert not Globs(glob, tmp_path, tmp_path)(tmp_path / "x")
    except ToolError as error:
        assert "alternatives" in str(error)


@pytest.mark.anyio
@pytest.mark.parametrize("pattern", ["build/out", "link", "./build/out", "{workspace}/build/out", "empty"])
async def test_a_path_that_exists_but_is_not_searched_is_named(editor: EditorFixture, pattern: str) -> None:
    editor.put(_gitignore="build\n")
    for name in ("build", "empty"):
        (editor.folder / name).mkdir()
    (editor.folder / "build/out").touch()
    (editor.folder / "link").symlink_to("build/out")
    pattern = pattern.replace("{workspace}", str(editor.folder))
    found = await editor.search.files(pattern, ".", limit=9, tokens=999)
    assert found.startswith("No files found.\n[")
    assert (
        f"{pattern.removeprefix(f'{editor.folder}/').removeprefix('./')} exists, but is not searched" in found
    )
    assert await editor.search.files("nothing", ".", limit=9, tokens=999) == "No files found."
