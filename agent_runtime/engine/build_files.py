"""Builds the services of the tools that edit, read and search files."""

from __future__ import annotations

from pathlib import Path

from agent_runtime.engine.run_config import RunConfig
from agent_runtime.engine.workspace_observer import NullObserver, WorkspaceObserver
from agent_runtime.files.editor import FileEditor
from agent_runtime.files.worker import FileWorker
from agent_runtime.lazy import dataclass
from agent_runtime.search.search import Searcher


@dataclass(frozen=True)
class FileServices:
    """The services."""

    files: FileEditor
    search: Searcher


def file_services(config: RunConfig, home: Path, observer: WorkspaceObserver | NullObserver) -> FileServices:
    """Build the services.

    Args:
        config: of the run.
        home: the home directory of the tools' user.
        observer: is notified of the changes.
    """
    worker = FileWorker(config.request.tool_user)
    observes = observer if isinstance(observer, WorkspaceObserver) else None
    files = FileEditor(
        workspace=config.workspace,
        worker=worker,
        home=home,
        roots=config.roots,
        on_change=observes.edited if observes else None,
        changing=observes.editing if observes else None,
    )
    return FileServices(files, Searcher(files.paths, worker))
