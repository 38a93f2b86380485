"""What execve(2) accepts as the environment of a program."""

from __future__ import annotations

import os
from collections.abc import Mapping

LONGEST_VARIABLE = 131_072  # bytes of `NAME=value` and its NUL (MAX_ARG_STRLEN of the kernel)
_LARGEST = 6 << 20  # bytes of arguments and variables together, whatever the limit of the stack
_RESERVED = 512 << 10  # bytes for arguments, and for the variables that the runtime itself sets


def size(name: str, value: str) -> int:
    """Bytes of a variable, its NUL included."""
    return len(os.fsencode(name)) + len(os.fsencode(value)) + 2


def is_settable(name: str, value: str) -> bool:
    """Whether execve accepts this variable."""
    return (
        bool(name) and "=" not in name and "\0" not in name + value and size(name, value) <= LONGEST_VARIABLE
    )


def exceeded_by(variables: Mapping[str, str], inherited: Mapping[str, str]) -> int:
    """Bytes by which these variables, added to the inherited ones, are too large; at most 0 when they fit."""
    limit = min(os.sysconf("SC_ARG_MAX"), _LARGEST) - _RESERVED
    pointer = 8
    return (
        sum(size(name, value) + pointer for name, value in (dict(inherited) | dict(variables)).items())
        - limit
    )
