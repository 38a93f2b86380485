"""The base of all models. They are pydantic models, except in `agent-runtime run`, which starts without pydantic.

`base` has pydantic's names. In a process that has called `use_light_models` they stand for light classes, which accept
what is certainly valid by themselves; for everything else, and for every error, they import pydantic and ask it.
"""

from __future__ import annotations

_state = {"light": False}


def use_light_models() -> None:
    """Let `base` define light classes. Must be called before the first model is imported."""
    _state["light"] = True


def are_light() -> bool:
    """Return whether `base` defines light classes."""
    return _state["light"]
