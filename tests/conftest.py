from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from agent_runtime.system.process_tree import all_processes

pytest_plugins = ("agent_runtime.testing.plugin",)

# The same examples each time: a run that fails can be run again. No deadline: a busy machine takes its time.
# For other examples: --hypothesis-profile=default
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")


# Programs that the tests start inherit what is ignored, and keep ignoring it: under nohup, or in the background of a
# script, that would be the signals whose effect is tested.
for _number, _handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
    (signal.SIGQUIT, signal.SIG_DFL),
    (signal.SIGTERM, signal.SIG_DFL),
):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, _handler)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no modules without timed tests when only those are run: all imports together take 20 seconds."""
    if config.option.markexpr != "timed" or not collection_path.name.startswith("test_"):
        return None
    return True if "mark.timed" not in collection_path.read_text("utf-8") else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the long tests first: one that is started last would run alone while the other workers have nothing."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """An empty workspace, apart from the other files of the test."""
    path = tmp_path / "workspace"
    path.mkdir()
    return path


@pytest.fixture(scope="session", autouse=True)
def _end_what_runs_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """End the servers and other processes that outlive a run by design."""
    yield
    folder = str(tmp_path_factory.getbasetemp())
    for process in all_processes().values():
        if process.cwd.startswith(f"{folder}/"):
            process.send(signal.SIGKILL)
