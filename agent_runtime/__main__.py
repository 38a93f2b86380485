"""The entry point of the command line. The workspace is untrusted: no module is ever imported from it.

With plain `python -m`, the working directory is on `sys.path` until the last lines of this file. Only modules that the
interpreter has loaded by then may be imported at the top.
"""

import _signal  # type: ignore[import-not-found]
import atexit
import gc
import os
import sys
import types

HELD = (_signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM)


def main() -> None:
    """Run the command line and exit with its status."""
    # Until the command has its handlers. What the parent has blocked is not kept: the program must react to signals.
    _signal.pthread_sigmask(_signal.SIG_SETMASK, HELD)
    _open_standard()
    gc.disable()  # until `start` is written: the modules imported before it are not garbage
    _skip_plugins()
    from agent_runtime.cli.main import main as cli

    _leave(cli(sys.argv[1:]))


def _leave(code: int) -> None:
    """Exit without the finalization of the interpreter, which frees every object and takes up to a second.

    Exit handlers are called and standard streams are flushed. Threads are not waited for: a cancelled run may leave one
    that is blocked, for instance in an import.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream:
                stream.flush()
        except OSError:  # contextlib may not be imported at the top
            pass  # the reader has gone
    os._exit(code)


def _open_standard() -> None:
    """Open /dev/null for stdin and stderr where they are closed, so that no other file takes their descriptors."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 2):
        try:
            os.fstat(fd)
        except OSError:  # contextlib may not be imported at the top
            os.dup2(null, fd)
    if null not in (0, 2):
        os.close(null)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)


def _skip_plugins() -> None:
    """Keep pydantic from searching all installed distributions for plugins: a tenth of the time to the first event.

    PYDANTIC_DISABLE_PLUGINS is the documented way. The loader module is replaced as well because importing it takes
    most of that time.
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    loader = types.ModuleType("pydantic.plugin._loader")
    loader.get_plugins = lambda: ()  # type: ignore[attr-defined]
    sys.modules.setdefault(loader.__name__, loader)


if __name__ == "__main__":
    if not sys.flags.isolated and not sys.flags.safe_path:
        del sys.path[0]  # `python -m` puts the working directory there
    main()
