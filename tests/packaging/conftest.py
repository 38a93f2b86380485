"""What the packaging tests share: the distributions, built offline from a copy of the tree."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis", "wheelhouse"
)


@dataclass(frozen=True)
class Built:
    """The distributions of a copied `tree`: `direct` is built from it, `wheel` from its sdist."""

    tree: Path
    sdist: Path
    wheel: Path
    direct: Path


def build(source: Path, out: Path, *kinds: str) -> None:
    """Without isolation and without network: what builds is what is pinned."""
    command = [sys.executable, "-m", "build", "--no-isolation", "-o", str(out), *kinds, str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    where = tmp_path_factory.mktemp("dist")
    shutil.copytree(REPO, where / "tree", symlinks=True, ignore=LEFT_OUT)
    build(where / "tree", where / "out")
    build(where / "tree", where / "direct", "--wheel")
    [sdist] = (where / "out").glob("*.tar.gz")
    [wheel] = (where / "out").glob("*.whl")
    [direct] = (where / "direct").glob("*.whl")
    return Built(where / "tree", sdist, wheel, direct)
