"""The types of command line arguments: each checks a text and says what was expected."""

from __future__ import annotations

import argparse


def count(text: str) -> int:
    """Return a number above 0. Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return int(text)


def seconds(text: str) -> int:
    """Return whole seconds, at most a day. Raises ArgumentTypeError."""
    if not text.isdecimal() or int(text) > 86_400:
        raise argparse.ArgumentTypeError(f"expected whole seconds from 0 to 86400, got {text!r}")
    return int(text)


def not_negative(text: str) -> int:
    """Return a number from 0. Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"expected a number from 0, got {text!r}")
    return int(text)


def amount(text: str) -> float:
    """Return an amount of money above 0. Raises ArgumentTypeError."""
    try:
        amount = float(text)
    except ValueError:
        amount = 0.0
    if not 0 < amount < 1e9:
        raise argparse.ArgumentTypeError(f"expected an amount above 0, got {text!r}")
    return amount


def port(text: str) -> int:
    """Return a TCP port, or 0. Raises ArgumentTypeError."""
    # getaddrinfo would take 70000 as 4464
    if not (text.isascii() and text.isdecimal() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got {text!r}")
    return int(text)


def label(text: str) -> tuple[str, str]:
    """Return a name and a value, from NAME=VALUE. Raises ArgumentTypeError."""
    name, sign, value = text.partition("=")
    if not name or not sign:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    return name, value
