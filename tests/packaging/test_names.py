"""The repository speaks of itself alone: no package registry's host, no path of where it was written."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]

# Spelled in pieces, so that this file passes its own test.
FORBIDDEN = [
    "pypi" + r"\.(org|io|python)",
    "python" + r"hosted\.org",
    r"registry\." + r"(npmjs|yarnpkg)",
    r"(deb|security|snapshot|ftp)\." + r"debian\.org",
    "crates" + r"\.io",
    r"proxy\." + r"golang",
    r"(quay|ghcr|gcr)\." + "io",
    r"\bpkg\." + "dev",
    "/wo" + r"rk/(main|shared|\.)",
    "/tmp/" + "brief",
    "/opt/" + "(pypi|wheels)",
]


def files() -> list[Path]:
    """What is, or would be, committed; a file deleted and not yet committed is none."""
    listing = ["git", "-C", str(REPO), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(listing, capture_output=True, text=True)
    if found.returncode != 0:
        pytest.skip("not a git checkout")
    paths = {REPO / name for name in found.stdout.split("\0") if name}
    return sorted(path for path in paths if path.is_file() and not path.is_symlink())


def test_no_file_names_a_registry_or_this_workplace() -> None:
    pattern = re.compile("|".join(FORBIDDEN), re.IGNORECASE)
    found = []
    for path in files():
        for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1):
            if match := pattern.search(line):
                found.append(f"{path.relative_to(REPO)}:{number}: {match[0]}")
    assert found == []


@pytest.mark.parametrize("name", ["run.txt", "image.txt", "dev.txt"])
def test_requirements_are_pinned_hashed_and_name_no_address(name: str) -> None:
    text = (REPO / "requirements" / name).read_text("utf-8")
    assert "://" not in text
    logical = [
        line for line in text.replace("\\\n", " ").splitlines() if line and not line.lstrip().startswith("#")
    ]
    assert len(logical) > 20
    unpinned = [line for line in logical if not re.match(r"[a-z0-9.-]+(\[[a-z,]+\])?==\S+", line)]
    unhashed = [line for line in logical if "--hash=sha256:" not in line]
    assert (unpinned, unhashed) == ([], [])


def test_dev_requirements_hold_those_of_a_run() -> None:
    def pins(name: str) -> set[str]:
        return set(
            re.findall(
                r"^([a-z0-9.-]+==\S+)", (REPO / "requirements" / name).read_text("utf-8"), re.MULTILINE
            )
        )

    assert pins("run.txt") | pins("image.txt") <= pins("dev.txt")
