"""Commands that print text, run in the process of the test: a table of inputs costs no process per row."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from subprocess import CompletedProcess
from unittest import mock

from agent_runtime.cli.main import main
from agent_runtime.testing.runtime import environment


def command(
    *words: str | Path, state: Path, environ: Mapping[str, str] | None = None
) -> CompletedProcess[str]:
    """Run a command line as the program does, and return its exit status and what it prints.

    Not for commands that execute a run, which take descriptors, signals and children of the process.

    Args:
        words: the command and its arguments.
        state: the state directory; the working directory is the folder that contains it.
        environ: further variables of the environment, which has no API keys.
    """
    stdout, stderr = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, environment(environ or {}, state), clear=True),
        chdir(state.parent),
        redirect_stdout(stdout),
        redirect_stderr(stderr),
    ):
        try:
            code = main([str(word) for word in words])
        except SystemExit as error:
            assert isinstance(error.code, int)
            code = error.code
    return CompletedProcess(words, code, stdout.getvalue(), stderr.getvalue())
