"""Prints kernel modules with those that they need, in the order in which they have to be loaded.

order_modules.py FOLDER NAME...     FOLDER is lib/modules/VERSION; built-in modules are left out
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

_DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")


def main(folder: Path, wanted: list[str]) -> None:
    """Print the paths of the modules below the folder."""
    paths = {path.name.partition(".ko")[0].replace("-", "_"): path for path in folder.rglob("*.ko")}
    built_in = {
        Path(line).stem.replace("-", "_") for line in (folder / "modules.builtin").read_text().split()
    }
    done: list[str] = []

    def add(name: str) -> None:
        if name in done or name in built_in:
            return
        found = _DEPENDS.search(paths[name].read_bytes())
        for other in found[1].decode().split(",") if found else ():
            if other:
                add(other.replace("-", "_"))
        done.append(name)

    for name in wanted:
        add(name)
    for name in done:
        print(paths[name].relative_to(folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
