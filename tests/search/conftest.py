"""The edit tests' workspace, for the tests of search."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from agent_runtime.errors import ToolError
from agent_runtime.files.worker import FileWorker
from agent_runtime.search import python_search, ripgrep, scan, search
from tests.files.conftest import editor

__all__ = ["editor"]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine takes its time."""
    monkeypatch.setattr(search, "_TIMEOUT", 120.0)
    monkeypatch.setattr(search, "_LISTING_TIMEOUT", 60.0)


@pytest.fixture
def scans_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine in Python works in this process: for tables of searches, of which each would start one."""
    limits = SimpleNamespace(setrlimit=lambda *_: None, RLIMIT_AS=0, RLIMIT_CPU=0)
    monkeypatch.setattr(scan, "resource", limits)

    async def records(request: dict[str, Any], worker: FileWorker) -> AsyncGenerator[dict[str, Any], None]:
        written: list[dict[str, Any]] = []
        data = json.dumps({**request, "user": None}).encode()
        with monkeypatch.context() as context:
            context.setattr(scan, "_write", written.append)
            context.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
            with suppress(SystemExit):
                scan.main()
        for record in json.loads(json.dumps(written)):
            if "error" in record:
                raise ToolError(record["error"])
            yield record

    monkeypatch.setattr(python_search, "_scan", records)


@pytest.fixture(params=[True, False], ids=["ripgrep", "python"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Each test runs with each engine that there is."""
    monkeypatch.setattr(ripgrep, "available", lambda: bool(request.param))
    return bool(request.param)
