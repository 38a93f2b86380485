"""1,000 edits of a file of 50,000 lines: exact, tolerant, insertions and patches, each synced to disk.

python benchmarks/edits.py [EDITS] [LINES]
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

import anyio

from agent_runtime.files.editor import FileEditor


async def edit(files: FileEditor, i: int, line: int) -> None:
    """The kinds take turns; each finds its own line and changes it."""
    here = f"    value_{line} = compute({line})"
    if i % 4 == 0:
        await files.replace("big.py", here, f"    value_{line} = changed({line})", call_id="c")
    elif i % 4 == 1:
        await files.replace("big.py", f"{here.strip()}  ", f"value_{line} = tolerated({line})", call_id="c")
    elif i % 4 == 2:
        await files.insert("big.py", line, f"    inserted_{line} = True", call_id="c")
    else:
        hunk = f"@@\n-{here}\n+    value_{line} = patched({line})"
        await files.patch(f"*** Begin Patch\n*** Update File: big.py\n{hunk}\n*** End Patch", call_id="c")


async def run(edits: int, lines: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        big = Path(folder, "big.py")
        big.write_text("".join(f"    value_{n} = compute({n})\n" for n in range(lines)))
        size = big.stat().st_size
        files = FileEditor(workspace=Path(folder))
        await files.read("big.py", 1, 10, tokens=1_000)
        times: list[float] = []
        for i in range(edits):
            started = time.perf_counter()
            await edit(files, i, (i * 7_919) % lines)
            times.append(time.perf_counter() - started)
        text = big.read_text()
    counts = [text.count(word) for word in ("changed(", "tolerated(", "inserted_", "patched(")]
    assert sum(counts) == edits, counts
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cpu, slowest = time.process_time() / edits, quantiles(times, n=20)[-1]
    print(f"{edits} edits, {lines:,} lines ({size / 1e6:.1f} MB): {sum(times):.1f} s; peak RSS {rss:.0f} MB")
    each = f"median {median(times) * 1e3:.0f} ms (CPU {cpu * 1e3:.0f} ms)"
    print(f"{each}, 95 % in {slowest * 1e3:.0f} ms; of each kind: {counts}")


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    anyio.run(run, given[0] if given else 1_000, given[1] if len(given) > 1 else 50_000)
