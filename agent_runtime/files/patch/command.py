"""`apply_patch` as a command for the shell: models that are trained with it also write it there, as a here-document.

It applies the patch with the editor of the tools, relative to the working directory, as the user who runs it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio

from agent_runtime.errors import ToolError
from agent_runtime.files.editor import FileEditor

USAGE = """usage: apply_patch <<'EOF' ... EOF
       apply_patch PATCH
       apply_patch FILE
Apply a patch, relative to the working directory: `*** Begin Patch` to `*** End Patch`, or a unified diff."""


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns its exit status: 0, 1 when the patch cannot be applied, 2 for wrong arguments."""
    try:
        text = _patch(arguments)
    except OSError as error:
        print(f"apply_patch: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    if text is None:
        print(USAGE, file=sys.stderr)
        return 2

    async def apply() -> str:
        return await FileEditor(workspace=Path.cwd()).patch(text, call_id="")

    try:
        print(anyio.run(apply))
    except ToolError as error:
        print(f"apply_patch: {error}", file=sys.stderr)
        return 1
    return 0


def _patch(arguments: Sequence[str]) -> str | None:
    """Return the text of the patch; None for wrong arguments. Raises OSError when its file cannot be read."""
    names = [argument for argument in arguments if argument != "-"]
    if len(names) > 1 or any(name in ("-h", "--help") for name in names):
        return None
    if not names:
        return os.fsdecode(sys.stdin.buffer.read()) or None
    if "\n" in names[0]:
        return names[0]
    return os.fsdecode(Path(names[0]).read_bytes())
