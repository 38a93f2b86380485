"""The command line. Each command imports what it needs, and nothing else."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

from agent_runtime.engine.signals import SignalHandler
from agent_runtime.errors import ExitCode
from agent_runtime.version import VERSION

# option -> (field of the request, kind, help)
OPTIONS: dict[str, tuple[str, str, str]] = {
    "--model": ("model", "text", "provider:name, or a bare name such as claude-sonnet-4-5"),
    "--workspace": ("workspace", "text", "the folder that the agent works in (default: the current one)"),
    "--max-turns": ("maxTurns", "int", "model calls at most (default 50)"),
    "--max-tokens": ("maxTokens", "int", "output tokens of each model call at most"),
    "--temperature": ("temperature", "float", "0 to 2, where the model takes one"),
    "--timeout": ("timeout", "float", "seconds for the whole run"),
    "--agent": ("agent", "text", "slug of an agent definition (default code-assistant)"),
    "--tools": ("tools", "list", "names of tools, with commas between them"),
    "--thread": ("threadId", "text", "continue, or start, the thread of that id"),
    "--state-dir": ("stateDir", "text", "threads, whole outputs, logs of servers left running"),
    "--record": ("record", "text", "write a transcript to this file"),
    "--partial": ("partial", "flag", "emit the delta events too"),
    "--format": ("format", "text", "ndjson, or pretty (the default on a terminal)"),
    "--dev-url": (
        "devUrl",
        "text",
        "template of public addresses, such as https://{port}-{sandboxId}.example.com",
    ),
    "--tool-user": ("toolUser", "text", "run the tools as this user"),
    "--confine": (
        "confine",
        "flag",
        "tools write only in the workspace, the mounts and the temporary folder",
    ),
    "--track-ignored": ("trackIgnored", "flag", "report changes of ignored files too"),
    "--heartbeat": ("heartbeat", "float", "emit a heartbeat after so many seconds of silence"),
    "--agents-dir": ("agentsDir", "text", "a folder with more agent definitions"),
}


def parser(wanted: str | None = None) -> argparse.ArgumentParser:
    """All commands; the options of the `wanted` one, or of all (making them takes a few milliseconds)."""
    # of a fixed width: to ask the terminal, argparse imports shutil and every compressor, help or not
    layout = partial(argparse.HelpFormatter, width=100)
    top = argparse.ArgumentParser(
        prog="agent-runtime",
        description="The agent loop that runs inside a sandbox.",
        allow_abbrev=False,
        formatter_class=layout,
    )
    top.add_argument("--version", action="version", version=f"agent-runtime {VERSION}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    for name, (add_options, text) in _COMMANDS.items():
        command = commands.add_parser(name, help=text, allow_abbrev=False, formatter_class=layout)
        if wanted in (None, name):
            add_options(command)
    return top


def _run(run: argparse.ArgumentParser) -> None:
    run.add_argument("--request", metavar="FILE", help="read the request from a file")
    run.add_argument(
        "--prompt", metavar="TEXT", help="the task; stdin then holds nothing but control messages"
    )
    run.add_argument("--socket", metavar="PATH", help="hand the run to a standby that listens there")
    for option, (_, kind, text) in OPTIONS.items():
        if kind == "flag":
            run.add_argument(option, action="store_true", help=text)
        else:
            run.add_argument(option, metavar="VALUE", help=text)


def _replay(replay: argparse.ArgumentParser) -> None:
    replay.add_argument("transcript", help="what `run --record` has written")
    tools = "run the tools again (execute, the default), or nothing: take their recorded results"
    replay.add_argument("--tools", choices=("execute", "recorded"), default="execute", help=tools)
    where = "where the tools run (default: the current folder)"
    replay.add_argument("--workspace", metavar="DIR", help=where)
    replay.add_argument(
        "--verify", action="store_true", help="compare with the recorded events; exit 4 where they part"
    )
    replay.add_argument("--speed", default="max", help="a factor, or max (the default)")
    for option in ("--record", "--state-dir", "--format"):
        replay.add_argument(option, metavar="VALUE", help=OPTIONS[option][2])


def _standby(standby: argparse.ArgumentParser) -> None:
    standby.add_argument("--socket", metavar="PATH", required=True)


def _demo(demo: argparse.ArgumentParser) -> None:
    demo.add_argument("--format", choices=("ndjson", "pretty"))
    demo.add_argument("--keep", action="store_true", help="keep the temporary workspace")
    demo.add_argument("--record", metavar="FILE", help=OPTIONS["--record"][2])


def _report(report: argparse.ArgumentParser) -> None:
    report.add_argument("transcript")
    report.add_argument("-o", "--output", metavar="FILE.html", required=True)


def _schema(schema: argparse.ArgumentParser) -> None:
    schema.add_argument("name", nargs="?", choices=("request", "event", "result", "transcript"))


def _doctor(doctor: argparse.ArgumentParser) -> None:
    """It has none."""


_COMMANDS = {
    "run": (_run, "one run: a JSON request on stdin, NDJSON events on stdout"),
    "replay": (_replay, "re-run a transcript without a model"),
    "standby": (_standby, "import everything once, fork a process for each run"),
    "demo": (_demo, "a recorded run with real tools; no key, no network"),
    "report": (_report, "one HTML page about a transcript"),
    "schema": (_schema, "JSON Schema of what goes in and comes out"),
    "doctor": (_doctor, "check what a run needs"),
}


def main(argv: Sequence[str]) -> int:
    """Run a command; returns the exit status."""
    top = parser(argv[0] if argv else None)
    arguments = top.parse_args(list(argv))
    if arguments.command is None:
        top.print_usage(sys.stderr)
        return ExitCode.INVALID_REQUEST
    has_stdout = sys.stdout is not None  # Python's word for a descriptor 1 that is closed
    if not has_stdout and arguments.command in ("schema", "doctor"):
        return ExitCode.STDOUT_CLOSED
    try:
        code = dispatch(arguments)
        if has_stdout:
            sys.stdout.flush()
    except BrokenPipeError:  # of what is printed plainly; a run sees to its stream itself
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return ExitCode.STDOUT_CLOSED
    return code


def dispatch(arguments: argparse.Namespace) -> int:
    """Import the command, and nothing else, and run it."""
    match arguments.command:
        case "run":
            if arguments.request is None and arguments.prompt is None and os.isatty(0):
                print(_USAGE, file=sys.stderr)
                return ExitCode.INVALID_REQUEST
            if arguments.socket is not None:
                from agent_runtime.cli.standby.client import hand_over

                return hand_over(arguments, overlay(arguments))
            signals = SignalHandler()  # before the imports, which take most of the time to the first event
            from agent_runtime.cli.run import run_command

            return run_command(arguments, overlay(arguments), signals)
        case "replay":
            from agent_runtime.cli.replay import replay_command

            return replay_command(arguments)
        case "demo":
            from agent_runtime.cli.demo import demo_command

            return demo_command(arguments)
        case "report":
            from agent_runtime.cli.report import report_command

            return report_command(arguments)
        case "schema":
            from agent_runtime.cli.schema import schema_command

            return schema_command(arguments.name)
        case "doctor":
            from agent_runtime.cli.doctor import doctor_command

            return doctor_command(os.environ)
        case _:
            from agent_runtime.cli.standby.server import standby_command

            return standby_command(arguments.socket)


_USAGE = """usage: agent-runtime run [--prompt TEXT | --request FILE] [options], or a JSON request on stdin;
       agent-runtime run --help lists the options"""


def overlay(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options that were given, as fields of a request. A number that is none is left for the request's check."""
    given: dict[str, Any] = {}
    for option, (field, kind, _) in OPTIONS.items():
        value = getattr(arguments, option[2:].replace("-", "_"))
        if value is None or value is False:
            continue
        if kind == "list":
            value = [name.strip() for name in value.split(",") if name.strip()]
        elif kind in ("int", "float"):
            value = _number(value, int if kind == "int" else float)
        given[field] = value
    if arguments.prompt is not None:
        given["prompt"] = arguments.prompt
    return given


def _number(text: str, kind: type[int] | type[float]) -> int | float | str:
    try:
        return kind(text)
    except ValueError:
        return text
