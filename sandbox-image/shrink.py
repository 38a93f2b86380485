"""Makes an environment small: shrink.py ENVIRONMENT, executed by the Python of that environment, without its packages.

The libraries keep their bytecode and lose sources, docstrings, type stubs, tests, headers, and what UNUSED names. The
runtime keeps its sources, which make its tracebacks readable. Bytecode is not compared with sources (`unchecked-hash`).
Extension modules and shared libraries lose what is not loaded: symbols for debuggers, section headers, and gaps.
The metadata of distributions loses the descriptions.
"""

from __future__ import annotations

import ast
import compileall
import importlib.util
import py_compile
import runpy
import shutil
import struct
import sys
from importlib._bootstrap_external import _code_to_hash_pyc  # type: ignore[import-not-found]
from pathlib import Path
from typing import NamedTuple

OWN = "agent_runtime"
_LOAD, _X86_64 = 1, 62  # PT_LOAD, EM_X86_64
_PAGE, _LARGEST_PAGE = 1 << 12, 1 << 16  # bytes; other processors may have larger pages
_HEADER = struct.Struct("<IIQQQQQQ")  # of a segment


NOT_FOR_A_RUN = (".pyi", ".pyx", ".pxd", ".pxi", ".c", ".h")
UNUSED = (
    # Pillow: AVIF is not read, nothing is drawn with fonts, no colour profile is applied, no window is opened
    *("PIL/_avif*.so", "pillow.libs/libavif-*"),
    *(
        "PIL/_imagingft*.so",
        "pillow.libs/libfreetype-*",
        "pillow.libs/libharfbuzz-*",
        "pillow.libs/libbrotli*",
    ),
    *("PIL/_imagingcms*.so", "pillow.libs/liblcms2-*"),
    "PIL/_imagingtk*.so",
    "pydantic/v1/",
    "jsonschema/benchmarks/",
    "anyio/_backends/_trio.py",
    # PyNaCl needs the compiled part of cffi alone
    *("cffi/", "pycparser/"),
    # the exporter of OpenTelemetry needs google.rpc alone
    *(f"google/{name}/" for name in ("api", "cloud", "gapic", "logging", "longrunning", "type")),
    # the lists of installed files, which are no longer true
    "*.dist-info/RECORD",
)
# What Pygments colours in the output for terminals; it shows other languages as plain text.
LANGUAGES = (
    *(
        "c_cpp",
        "configs",
        "css",
        "data",
        "diff",
        "dotnet",
        "go",
        "html",
        "javascript",
        "jvm",
        "make",
        "markup",
    ),
    *("perl", "php", "python", "ruby", "rust", "shell", "special", "sql"),
)


class _Header(NamedTuple):
    type: int
    flags: int
    offset: int
    address: int
    physical: int
    length: int
    memory: int
    align: int


def main(environment: Path) -> None:
    """Shrink the environment. Raises ValueError when nothing matches a pattern of UNUSED: a library has changed."""
    [site] = environment.glob("lib/python3*/site-packages")
    for pattern in UNUSED:
        found = list(site.glob(pattern))
        if not found:
            raise ValueError(f"{site}: nothing matches {pattern}; correct the list of {Path(__file__).name}")
        for path in found:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in site.glob("*.dist-info/METADATA"):  # without the description, which follows the headers
        path.write_text(path.read_text("utf-8").partition("\n\n")[0] + "\n", "utf-8")
    keep_lexers(site / "pygments/lexers", set(LANGUAGES))
    for path in [path for path in site.rglob("*") if path.is_dir() and path.name in ("tests", "__pycache__")]:
        shutil.rmtree(path, ignore_errors=True)
    for path in site.rglob("*.*"):
        if path.suffix in NOT_FOR_A_RUN:
            path.unlink()
        elif ".so" in path.suffixes:
            strip(path)
        elif path.suffix == ".py" and path.relative_to(site).parts[0] != OWN:
            replace_by_bytecode(path)
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(site / OWN, quiet=1, invalidation_mode=unchecked)


def keep_lexers(folder: Path, kept: set[str]) -> None:
    """Remove the other modules with lexers of Pygments, and their rows in its table."""
    new = kept
    while new:
        trees = [ast.parse((folder / f"{name}.py").read_bytes()) for name in new]
        imports = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        names = {node.module.rpartition(".")[2] for node in imports if node.module} | {
            alias.name for node in imports if node.module == "pygments.lexers" for alias in node.names
        }
        new = {name for name in names if (folder / f"{name}.py").exists()} - kept
        kept = kept | new
    for path in folder.glob("*.py"):
        if path.stem not in kept | {"__init__", "_mapping"}:
            path.unlink()
    table = runpy.run_path(str(folder / "_mapping.py"))["LEXERS"]
    rows = {name: row for name, row in table.items() if row[0].rpartition(".")[2] in kept}
    (folder / "_mapping.py").write_text(f"LEXERS = {rows!r}\n", "utf-8")


def strip(path: Path) -> None:
    """Keep of a 64-bit ELF file the segments that are loaded, one behind the other on pages.

    Some linkers leave gaps of up to 2 MiB between them.
    """
    data = path.read_bytes()
    if data[:6] != b"\x7fELF\x02\x01":
        return
    (machine,) = struct.unpack_from("<H", data, 18)
    (table,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    headers = {at: _Header(*_HEADER.unpack_from(data, at)) for at in range(table, table + size * count, size)}
    loaded = sorted((each for each in headers.values() if each.type == _LOAD), key=lambda each: each.offset)
    if not loaded or loaded[0].offset:  # the first one has the headers
        return
    page = _PAGE if machine == _X86_64 else _LARGEST_PAGE
    new = bytearray()
    moves: dict[_Header, int] = {}
    for each in loaded:
        new += bytes((each.address - len(new)) % page)  # an address and its offset are equal modulo the page
        moves[each] = len(new) - each.offset
        new += data[each.offset : each.offset + each.length]
    for at, each in headers.items():
        inside = [load for load in loaded if load.offset <= each.offset < load.offset + load.length]
        align = min(each.align, page) if each.type == _LOAD else each.align
        offset = each.offset + (moves[inside[0]] if inside else 0)
        _HEADER.pack_into(new, at, *each._replace(offset=offset, align=align))
    struct.pack_into("<Q", new, 40, 0)  # there are no section headers
    struct.pack_into("<HH", new, 60, 0, 0)
    path.write_bytes(new)


def replace_by_bytecode(path: Path) -> None:
    """Compile a module without its docstrings, beside its source, and remove that."""
    source = path.read_bytes()
    tree = ast.parse(source, path)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
            and isinstance(node.body[0].value, ast.Constant)
            and isinstance(node.body[0].value.value, str)
        ):
            node.body[:1] = [] if len(node.body) > 1 else [ast.copy_location(ast.Pass(), node.body[0])]
    code = compile(tree, path, "exec", dont_inherit=True, optimize=0)
    hashed = importlib.util.source_hash(source)
    path.with_suffix(".pyc").write_bytes(_code_to_hash_pyc(code, hashed, checked=False))
    path.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
