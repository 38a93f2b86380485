"""A program that uses all file tools as another user, and prints what is imported with that user's rights."""

from __future__ import annotations

import io
import os
import pwd
import sys
import threading
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
from PIL import Image as Pillow

from agent_runtime.errors import ToolError
from agent_runtime.files.editor import FileEditor
from agent_runtime.files.worker import FileWorker
from agent_runtime.search import ripgrep
from agent_runtime.search.search import Searcher

USER = "games"
imported: list[str] = []


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "import" and threading.current_thread() is not threading.main_thread():
        status = Path("/proc/thread-self/status").read_text()
        user = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[4]
        if user != "0":
            imported.append(arguments[0])


def encoded(kind: str, mode: str, size: tuple[int, int] = (30, 20), **options: Any) -> bytes:
    out = io.BytesIO()
    Pillow.new(mode, size, 1).save(out, kind, **options)
    return out.getvalue()


def contents() -> dict[str, bytes]:
    text = {
        name: "x “é”\n".encode(name)
        for name in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252")
    }
    upright = Pillow.Exif()
    upright[0x0112] = 6
    frames = [Pillow.new("RGB", (20, 10), color) for color in ("red", "blue")]
    images = [
        *(encoded(kind, "RGB") for kind in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM")),
        encoded("ICO", "RGBA", (16, 16)),
        encoded("TIFF", "CMYK"),
        encoded("JPEG", "CMYK"),
        encoded("TIFF", "RGB", compression="tiff_lzw"),
        *(encoded("PNG", mode, (5_000, 20)) for mode in ("RGB", "P", "1", "I;16")),
        encoded("JPEG", "RGB", exif=upright),
        *(
            encoded(kind, "RGB", (20, 10), save_all=True, append_images=frames)
            for kind in ("GIF", "WEBP", "TIFF")
        ),
    ]
    other = {"latin": b"caf\xe9\n", "gbk": "测试\n".encode("gbk"), "damaged": "é é é ".encode() + b"\xff"}
    broken = {"binary": bytes(100), "half.png": images[0][:50], ".gitignore": b"x\n*.pyc\n"}
    return text | other | broken | {f"image{i}": image for i, image in enumerate(images)}


async def attempt(call: Awaitable[object]) -> None:
    with suppress(ToolError):
        await call


async def main(folder: Path) -> None:
    entry = pwd.getpwnam(USER)
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    for name, data in contents().items():
        (folder / name).write_bytes(data)
        os.chown(folder / name, entry.pw_uid, entry.pw_gid)
    worker = FileWorker(USER)
    files = FileEditor(workspace=folder, worker=worker, roots=[folder])
    search = Searcher(files.paths, worker)
    for name in contents():
        await attempt(files.read(name, tokens=100))
        await attempt(files.image(name))
        await attempt(files.replace(name, "absent", "y", call_id="c"))
        await attempt(files.insert(name, 0, "é“", call_id="c"))
    for path in (".", "/etc/shadow", "absent"):
        await attempt(files.read(path, tokens=100))
    await attempt(files.write("new/f", "a\n", call_id="c"))
    await attempt(files.patch("*** Begin Patch\n*** Update File: new/f\n-a\n+b\n*** End Patch", call_id="c"))
    await attempt(files.patch("--- a/new/f\n+++ b/new/f\n@@ -1 +1 @@\n-b\n+c\n", call_id="c"))
    await attempt(files.delete("new/f", call_id="c"))
    for available in (True, False):
        ripgrep.available = lambda available=available: available  # type: ignore[misc]
        for pattern in ("caf|x", "(?<=x) "):
            await attempt(search.grep(pattern, ".", glob="*", limit=9, tokens=100))
        await attempt(search.files("*.png", ".", limit=9, tokens=100))


if __name__ == "__main__":
    sys.addaudithook(watch)
    anyio.run(main, Path(sys.argv[1]))
    print(imported)
