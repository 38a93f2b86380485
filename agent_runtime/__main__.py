"""The entry point. The workspace is untrusted: nothing is imported from it, whatever it holds."""

import gc
import os
import sys
import types


def main() -> None:
    """Run the command line and exit with its status."""
    _open_standard()
    gc.disable()  # until `start` is out: nothing that is imported before it is garbage
    _skip_plugins()
    from agent_runtime.cli.main import main as cli

    code = cli(sys.argv[1:])
    # A cancelled run may have left a thread in the middle of an import; the one that waits for signals holds nothing.
    threads = sys.modules.get("threading")
    if threads and any(thread.name not in ("MainThread", "signals") for thread in threads.enumerate()):
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _open_standard() -> None:
    """Stdin and stderr lead nowhere where they are closed: what is opened next would take their numbers."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.dup2(null, fd)
    if null not in (0, 2):
        os.close(null)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)


def _skip_plugins() -> None:
    """Spare pydantic its search for plugins in every installed distribution: a tenth of the time to the first event.

    The variable is pydantic's own way; its module is stood in for because importing it alone costs most of that time.
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    loader = types.ModuleType("pydantic.plugin._loader")
    loader.get_plugins = lambda: ()  # type: ignore[attr-defined]
    sys.modules.setdefault(loader.__name__, loader)


if __name__ == "__main__":
    if not sys.flags.isolated and not sys.flags.safe_path:
        del sys.path[0]  # `python -m` puts the working directory there
    main()
