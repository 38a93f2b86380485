"""The file tools: how they are described to the model, and what a call with their arguments does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
from PIL import Image as Pillow

import agent_runtime.tools
from agent_runtime.agent.tool import ToolContext
from agent_runtime.errors import ToolError
from agent_runtime.protocol.messages import Image
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.tools import load
from tests.files.editor_fixture import EditorFixture

pytestmark = pytest.mark.anyio

NAMES = (
    "apply_patch", "delete_file", "edit_file", "file_search", "grep", "list_directory", "read_file",
    "str_replace_based_edit_tool", "view_image", "write_file",
)  # fmt: skip


async def call(editor: EditorFixture, tool: str, **arguments: Any) -> ToolOutput:
    unused = cast(Any, None)
    services = {
        "shell": unused,
        "sessions": unused,
        "servers": unused,
        "user": unused,
        "search": editor.search,
    }
    context = ToolContext(call_id="c", workspace=editor.folder, files=editor.files, **services)
    return await load(tool).call(arguments, context)


async def text(editor: EditorFixture, tool: str, **arguments: Any) -> str:
    output = await call(editor, tool, **arguments)
    assert not output.is_error
    return output.text


@pytest.mark.parametrize("name", NAMES)
def test_every_tool_has_a_description(name: str) -> None:
    tool = load(name)
    spec = tool.spec()
    assert (tool.name, spec.name) == (name, name)
    assert spec.description
    assert spec.parameters["type"] == "object"
    assert all(field["description"] for field in spec.parameters["properties"].values())
    json.dumps([spec.parameters, spec.native])


def test_native_tool_types() -> None:
    spec = load("str_replace_based_edit_tool").spec()
    assert spec.native == {
        "anthropic": {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"}
    }
    assert set(spec.parameters["properties"]) == {
        "command", "path", "view_range", "file_text", "old_str", "new_str", "insert_line", "insert_text",
    }  # fmt: skip
    patch = load("apply_patch").spec()
    assert list(patch.parameters["properties"]) == ["input"]
    custom = patch.native["openai-responses"]
    assert (custom["type"], custom["name"]) == ("custom", "apply_patch")
    assert custom["format"]["type"], custom["format"]["syntax"] == ("grammar", "lark")
    assert '"*** Begin Patch" LF' in custom["format"]["definition"]


async def test_the_edit_tool_runs_every_command(editor: EditorFixture) -> None:
    name = "str_replace_based_edit_tool"
    await call(editor, name, command="create", path="d/f.py", file_text="a\nb\n")
    await call(editor, name, command="str_replace", path="d/f.py", old_str="b", new_str="c")
    await call(editor, name, command="insert", path="d/f.py", insert_line=1, insert_text="x")
    await call(
        editor, name, command="insert", path=str(editor.folder / "d/f.py"), insert_line=0, new_str="0\n"
    )
    await call(editor, name, command="str_replace", path="d/f.py", old_str="x\n")
    assert editor.tree() == {"d/f.py": b"0\na\nc\n"}
    assert await text(editor, name, command="view", path="d/f.py", view_range=[2, -1]) == (
        "     2\ta\n     3\tc\n[lines 2-3 of 3]"
    )
    assert await text(editor, name, command="view", path=".") == "d/\n  f.py"
    for arguments, said in (
        ({"command": "str_replace"}, "str_replace needs old_str"),
        ({"command": "create"}, "create needs file_text"),
        ({"command": "insert", "insert_text": "x"}, "insert needs insert_line"),
        ({"command": "undo_edit"}, "Invalid arguments"),
        ({"command": "view", "view_range": [1]}, "Invalid arguments"),
        ({"command": "view", "colour": "red"}, "Invalid arguments"),
    ):
        with pytest.raises(ToolError, match=said):
            await call(editor, name, path="d/f.py", **cast(dict[str, Any], arguments))


async def test_the_single_purpose_file_tools_work(editor: EditorFixture) -> None:
    await call(editor, "write_file", path="src/a.py", content="one\ntwo\none\n")
    await call(editor, "edit_file", path="src/a.py", old_string="one", new_string="1", replace_all=True)
    assert await text(editor, "read_file", path="src/a.py") == "     1\t1\n     2\ttwo\n     3\t1"
    assert (
        await text(editor, "read_file", path="src/a.py", offset=2, limit=1) == "     2\ttwo\n[lines 2-2 of 3]"
    )
    assert await text(editor, "list_directory") == "src/"
    assert await text(editor, "list_directory", path=".", depth=2) == "src/\n  a.py"
    assert await text(editor, "file_search", pattern="**/*.py") == "src/a.py"
    assert await text(editor, "grep", pattern="t.o", glob="*.py") == "src/a.py:2:two"
    assert await text(editor, "grep", pattern="1", output_mode="count") == "src/a.py:2"
    await call(editor, "delete_file", path="src/a.py")
    assert editor.tree() == {}
    assert [paths for paths, _ in editor.changes] == [["src/a.py"]] * 3


async def test_argument_names_of_other_tools_are_accepted(editor: EditorFixture) -> None:
    await call(editor, "write_file", file_path="a", file_text="x\n")
    await call(editor, "edit_file", file_path="a", old_str="x", new_str="y")
    assert editor.tree() == {"a": b"y\n"}


async def test_a_freeform_patch(editor: EditorFixture) -> None:
    await call(editor, "apply_patch", input="*** Begin Patch\n*** Add File: a\n+x\n*** End Patch")
    assert editor.tree() == {"a": b"x\n"}


async def test_view_image_returns_the_image(editor: EditorFixture) -> None:
    Pillow.new("RGB", (4, 4)).save(editor.folder / "i.png")
    for tool, arguments in (
        ("view_image", {"path": "i.png"}),
        ("read_file", {"path": "i.png"}),
        ("str_replace_based_edit_tool", {"command": "view", "path": "i.png"}),
    ):
        assert isinstance((await call(editor, tool, **arguments)).content[1], Image)


def test_the_patch_grammar_is_packaged(tmp_path: Path) -> None:
    assert (Path(agent_runtime.tools.__file__).parent / "apply_patch.lark").read_text().startswith("start: ")
