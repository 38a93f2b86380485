"""The entry point. The workspace is untrusted: nothing is imported from it, whatever it holds."""

import os
import sys


def main() -> None:
    """Run the command line and exit with its status."""
    # pydantic looks for plugins in every installed distribution: 25 ms before the first event, for nothing
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from agent_runtime.cli import main as cli

    sys.exit(cli(sys.argv[1:]))


if __name__ == "__main__":
    if not sys.flags.isolated and not sys.flags.safe_path:
        del sys.path[0]  # `python -m` puts the working directory there
    main()
