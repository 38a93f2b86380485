"""The command line. Commands are imported when they are used, which keeps the start-up short."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module

from agent_runtime.cli import arguments as arguments_of
from agent_runtime.cli import fleet_arguments
from agent_runtime.cli.options import overlay
from agent_runtime.engine.signals import SignalHandler, release
from agent_runtime.errors import ExitCode, RequestError
from agent_runtime.lazy import dataclass
from agent_runtime.models import use_light_models
from agent_runtime.version import VERSION


@dataclass(frozen=True)
class Command:
    """A command: its options, its help, and the module whose function `NAME_command` runs it.

    `prints_text`: its output is the text on stdout, unless it is written to the file of `--output`, so
    without a stdout there is nothing to do.
    """

    add_options: Callable[[argparse.ArgumentParser], None]
    help: str
    module: str
    prints_text: bool = False


_COMMANDS = {
    "run": Command(
        arguments_of.run_options,
        "execute a run: a JSON request on stdin, NDJSON events on stdout",
        "run",
    ),
    "replay": Command(
        arguments_of.replay_options,
        "replay a transcript without a model",
        "replay",
    ),
    "standby": Command(
        arguments_of.standby_options,
        "warm start: import everything once, fork a process per run",
        "standby.server",
    ),
    "acp": Command(
        arguments_of.acp_options,
        "serve an editor or another client of the Agent Client Protocol on stdin and stdout",
        "acp",
    ),
    "serve": Command(
        fleet_arguments.serve_options,
        "serve the HTTP API",
        "serve",
    ),
    "batch": Command(
        fleet_arguments.batch_options,
        "run a file of requests, many at once",
        "batch",
    ),
    "runner": Command(
        fleet_arguments.runner_options,
        "execute the requests of a queue in NATS",
        "runner",
    ),
    "demo": Command(
        arguments_of.demo_options,
        "replay a recorded run with real tools; needs no key and no network",
        "demo",
    ),
    "report": Command(
        arguments_of.report_options,
        "write an HTML page about a run",
        "report",
    ),
    "export": Command(
        arguments_of.export_options,
        "write a run as a trajectory (ATIF) or a trace (OTLP)",
        "export",
        prints_text=True,
    ),
    "import": Command(
        arguments_of.import_options,
        "make a transcript of a session of codex or Claude Code",
        "import_session",
        prints_text=True,
    ),
    "runs": Command(arguments_of.runs_options, "list the runs that are kept", "runs", prints_text=True),
    "show": Command(
        arguments_of.show_options,
        "print a run as with --format pretty",
        "runs",
        prints_text=True,
    ),
    "threads": Command(
        arguments_of.threads_options,
        "list, print, copy and delete threads",
        "threads",
        prints_text=True,
    ),
    "models": Command(
        arguments_of.listing_options,
        "list models, and providers with their key variables",
        "listings",
        prints_text=True,
    ),
    "tools": Command(arguments_of.listing_options, "list the tools", "listings", prints_text=True),
    "agents": Command(
        arguments_of.agents_options,
        "list the agent definitions",
        "listings",
        prints_text=True,
    ),
    "clean": Command(arguments_of.clean_options, "remove the files of old runs", "clean", prints_text=True),
    "schema": Command(
        arguments_of.schema_options,
        "print the JSON Schema of requests, events and transcripts",
        "schema",
        prints_text=True,
    ),
    "doctor": Command(arguments_of.doctor_options, "check what a run needs", "doctor", prints_text=True),
}


class Parser(argparse.ArgumentParser):
    """A parser whose errors suggest what a mistyped word was meant for."""

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.choices is not None and value not in action.choices:
            choices = list(map(str, action.choices))
            message = (
                f"unknown: {value!r}; expected one of {', '.join(choices)}{suggestion(str(value), choices)}"
            )
            raise argparse.ArgumentError(action, message)


def suggestion(word: str, known: Sequence[str]) -> str:
    """Return the end of a message about an unknown word: the known one that is close to it, if any."""
    from difflib import get_close_matches

    close = get_close_matches(word, known, 1)
    return f"; did you mean {close[0]}?" if close else ""


def parser(wanted: str | None = None) -> argparse.ArgumentParser:
    """Return the parser with all commands, and the options of the `wanted` one or of all.

    Adding the options of all commands takes a few milliseconds.
    """
    # a fixed width: argparse would import shutil and all compression modules to find that of the terminal
    layout = partial(argparse.HelpFormatter, width=100)
    top = Parser(
        prog="agent-runtime",
        description="The agent loop that runs inside a sandbox.",
        allow_abbrev=False,
        formatter_class=layout,
    )
    top.add_argument("--version", action="version", version=f"agent-runtime {VERSION}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    for name, command in _COMMANDS.items():
        added = commands.add_parser(name, help=command.help, allow_abbrev=False, formatter_class=layout)
        if wanted in (None, name):
            command.add_options(added)
    return top


def main(argv: Sequence[str]) -> int:
    """Run the command line `argv`; returns the exit status."""
    top = parser(argv[0] if argv else None)
    # argparse would take a transcript after `--verify` for an optional value of it
    words = [arguments_of.VERIFY_REQUESTS if word == "--verify=requests" else word for word in argv]
    arguments, unknown = top.parse_known_args(words)
    if unknown:
        _command_parser(top, argv[0]).error(_unknown(top, argv[0], unknown))
    if arguments.command is None:
        top.print_help(sys.stderr)
        return ExitCode.INVALID_REQUEST
    has_stdout = sys.stdout is not None  # None when descriptor 1 is closed
    writes_a_file = getattr(arguments, "output", None) is not None
    if not has_stdout and _COMMANDS[arguments.command].prints_text and not writes_a_file:
        return ExitCode.STDOUT_CLOSED
    try:
        code = dispatch(arguments)
        if has_stdout:
            sys.stdout.flush()
    except RequestError as error:  # of commands that have no events to report it in
        print(f"agent-runtime: {error}", file=sys.stderr)
        return ExitCode.INVALID_REQUEST
    except BrokenPipeError:  # of commands that print text; runs handle it themselves
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return ExitCode.STDOUT_CLOSED
    return code


def _command_parser(top: argparse.ArgumentParser, command: str) -> argparse.ArgumentParser:
    [commands] = (action.choices for action in top._actions if isinstance(action.choices, dict))
    chosen: argparse.ArgumentParser = commands.get(command, top)
    return chosen


def _unknown(top: argparse.ArgumentParser, command: str, unknown: Sequence[str]) -> str:
    """Return the message for unknown arguments, with a suggestion for a mistyped option."""
    options = list(_command_parser(top, command)._option_string_actions)
    return f"unknown option or argument: {' '.join(unknown)}{suggestion(unknown[0].split('=')[0], options)}"


def dispatch(arguments: argparse.Namespace) -> int:
    """Import the module of the command, and run it."""
    if arguments.command == "run":
        return _dispatch_run(arguments)
    release()
    command = _COMMANDS[arguments.command]
    module = import_module(f"agent_runtime.cli.{command.module}")
    run: Callable[[argparse.Namespace], int] = getattr(module, f"{arguments.command}_command")
    return run(arguments)


def _dispatch_run(arguments: argparse.Namespace) -> int:
    if arguments.request is None and arguments.prompt is None and os.isatty(0):
        print(_USAGE, file=sys.stderr)
        return ExitCode.INVALID_REQUEST
    if arguments.socket is not None and not arguments.dry_run:
        from agent_runtime.cli.standby.client import hand_over

        return hand_over(arguments, overlay(arguments))
    signals = SignalHandler()  # before the imports, which take most of the time to the first event
    use_light_models()
    from agent_runtime.cli.run import run_command

    return run_command(arguments, overlay(arguments), signals)


_USAGE = """usage: agent-runtime run [--prompt TEXT | --request FILE] [options], or a JSON request on stdin;
       agent-runtime run --help lists the options"""
