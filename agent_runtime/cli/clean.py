"""`agent-runtime clean`: remove the files of old runs."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time

from agent_runtime.engine import retention
from agent_runtime.engine.run_config import state_dir
from agent_runtime.errors import ExitCode, RequestError

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def clean_command(arguments: argparse.Namespace) -> int:
    """Remove the files and print what was removed; returns the exit status."""
    try:
        older_than = parse_age(arguments.older_than) if arguments.older_than else retention.OLDER_THAN
        max_size = parse_size(arguments.max_size) if arguments.max_size else retention.MAX_SIZE
    except RequestError as error:
        print(f"agent-runtime: {error}", file=sys.stderr)
        return ExitCode.INVALID_REQUEST
    where = state_dir(arguments.state_dir, os.environ)
    removed = retention.clean(where, older_than=older_than, max_size=max_size, dry_run=arguments.dry_run)
    for folder in removed:
        day = time.strftime("%Y-%m-%d", time.gmtime(folder.modified))
        print(f"{folder.path.name}  {day}  {folder.size / (1 << 20):.1f} MiB")
    verb = "would be removed" if arguments.dry_run else "removed"
    total = sum(folder.size for folder in removed) / (1 << 20)
    print(f"{len(removed)} runs, {total:.1f} MiB {verb}")
    return ExitCode.COMPLETED


def parse_age(text: str) -> float:
    """Return the seconds of an age such as `30d`, `12h`, `90m`. Raises RequestError."""
    if not (found := re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip().lower())):
        raise RequestError(
            "--older-than", f"expected a number and s, m, h, d or w, such as 30d; got {text!r}"
        )
    return float(found[1]) * _SECONDS[found[2]]


def parse_size(text: str) -> int:
    """Return the bytes of a size such as `2G`, `500M`. Raises RequestError."""
    if not (found := re.fullmatch(r"(\d+(?:\.\d+)?)([kmgt]?)(?:i?b)?", text.strip().lower())):
        raise RequestError("--max-size", f"expected a number and K, M, G or T, such as 2G; got {text!r}")
    return int(float(found[1]) * _BYTES[found[2]])
