"""The tools a model can use, a file each, named after the tool. The module's `TOOL` is the tool.

`FAMILIES` says which set a model gets by default: the one it was trained on.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from agent_runtime.tools._stored import StoredTool, stored_tools

if TYPE_CHECKING:
    from agent_runtime.agent.tool import Tool

SHARED = ("view_image", "get_dev_url", "web_search", "update_plan")

ASK_USER = "ask_user"  # offered when the request says that the user can be asked
DIALOGUE = ("update_plan", ASK_USER)  # these emit events and change nothing: a replay always runs them

FAMILIES: dict[str, tuple[str, ...]] = {
    "claude": ("bash", "str_replace_based_edit_tool", *SHARED),
    "codex": ("exec_command", "write_stdin", "apply_patch", *SHARED),
    "platform": (
        "bash",
        "read_file",
        "edit_file",
        "write_file",
        "delete_file",
        "list_directory",
        "file_search",
        "grep",
        *SHARED,
    ),
}

# run by the provider itself: the wire formats that have them
HOSTED: dict[str, tuple[str, ...]] = {"web_search": ("anthropic", "openai-responses")}


def names() -> list[str]:
    """The names of all tools, found by their files without importing them."""
    here = Path(__file__).parent
    return sorted(path.stem for path in here.glob("*.py") if not path.stem.startswith("_"))


def load(name: str) -> Tool:
    """Return the tool of that name. Raises ModuleNotFoundError when there is none.

    Its module is imported at its first call where its description is stored.
    """
    stored = stored_tools().get(name)
    if stored is None:
        return imported(name)
    return StoredTool(name, stored, describe=partial(prompt, name), load=partial(imported, name))


def imported(name: str) -> Tool:
    """Import the module of that tool, and return the tool. Raises ModuleNotFoundError when there is none."""
    tool: Tool = import_module(f"{__name__}.{name}").TOOL
    return tool


def prompt(name: str) -> str:
    """What the model reads about a tool: prompts/tools/NAME.md."""
    return (Path(__file__).parent.parent / "prompts" / "tools" / f"{name}.md").read_text("utf-8").strip()
