"""The command line. Commands are imported when they are used, which keeps the start-up short."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module

from agent_runtime.cli.options import METAVARS, OPTIONS, overlay
from agent_runtime.engine.signals import SignalHandler
from agent_runtime.errors import ExitCode
from agent_runtime.version import VERSION

_VERIFY_REQUESTS = "--verify-requests"
_RUN = "a run id, `last`, a transcript, or a file of events"


def parser(wanted: str | None = None) -> argparse.ArgumentParser:
    """Return the parser with all commands, and the options of the `wanted` one or of all.

    Adding the options of all commands takes a few milliseconds.
    """
    # a fixed width: argparse would import shutil and all compression modules to find that of the terminal
    layout = partial(argparse.HelpFormatter, width=100)
    top = argparse.ArgumentParser(
        prog="agent-runtime",
        description="The agent loop that runs inside a sandbox.",
        allow_abbrev=False,
        formatter_class=layout,
    )
    top.add_argument("--version", action="version", version=f"agent-runtime {VERSION}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    for name, (add_options, text, _, _) in _COMMANDS.items():
        command = commands.add_parser(name, help=text, allow_abbrev=False, formatter_class=layout)
        if wanted in (None, name):
            add_options(command)
    return top


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return int(text)


def _seconds(text: str) -> int:
    if not text.isdecimal() or int(text) > 86_400:
        raise argparse.ArgumentTypeError(f"expected whole seconds from 0 to 86400, got {text!r}")
    return int(text)


def _port(text: str) -> int:
    # getaddrinfo takes 70000 for 4464
    if not (text.isascii() and text.isdecimal() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got {text!r}")
    return int(text)


def _run(run: argparse.ArgumentParser) -> None:
    run.add_argument("--request", metavar="FILE", help="read the request from a file")
    run.add_argument(
        "--prompt", metavar="TEXT", help="the task; stdin is then read for control messages only"
    )
    run.add_argument(
        "--dry-run",
        action="store_true",
        help="print the system prompt, the tools and the settings; call no model",
    )
    run.add_argument("--socket", metavar="PATH", help="let the standby server at this socket execute the run")
    for option, (_, kind, text) in OPTIONS.items():
        if kind == "flag":
            run.add_argument(option, action="store_true", help=text)
        else:
            run.add_argument(option, metavar=METAVARS[option], help=text)


def _replay(replay: argparse.ArgumentParser) -> None:
    replay.add_argument("transcript", metavar="RUN", help="a run id, `last`, or a transcript")
    tools = "execute the tools (the default), or use their recorded results"
    replay.add_argument("--tools", choices=("execute", "recorded"), default="execute", help=tools)
    where = "the folder that the tools work in; required to execute them (or AGENT_RUNTIME_WORKSPACE)"
    replay.add_argument("--workspace", metavar="DIR", help=where)
    replay.add_argument(
        "--verify",
        action="store_true",
        help="compare the events with the recorded ones; exit 4 with a diff at the first difference."
        " --verify=requests: compare the model requests too",
    )
    replay.add_argument(_VERIFY_REQUESTS, action="store_true", help=argparse.SUPPRESS)
    replay.add_argument(
        "--strict", action="store_true", help="with --verify: mask nothing in the outputs of tools"
    )
    replay.add_argument(
        "--mask",
        metavar="REGEX",
        action="append",
        default=[],
        help="with --verify: ignore matches in outputs and diffs; may be given more than once",
    )
    replay.add_argument(
        "--keep-servers", action="store_true", help="do not end the servers that the tools have started"
    )
    replay.add_argument(
        "--speed",
        metavar="FACTOR",
        default="max",
        help="divide recorded waiting times by a factor; max (the default) does not wait",
    )
    for option in ("--record", "--state-dir", "--format"):
        replay.add_argument(option, metavar=METAVARS[option], help=OPTIONS[option][2])


def _standby(standby: argparse.ArgumentParser) -> None:
    where = standby.add_mutually_exclusive_group(required=True)
    where.add_argument("--socket", metavar="PATH", help="the Unix socket to create")
    where.add_argument("--handed", type=int, help=argparse.SUPPRESS)  # the descriptor that `serve` passes


def _serve(serve: argparse.ArgumentParser) -> None:
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    serve.add_argument("--port", type=_port, default=8080, help="0 for any free port (default 8080)")
    serve.add_argument(
        "--api-key",
        metavar="KEY[:tier]",
        action="append",
        default=[],
        help="a key that callers must send, with its tier: free, pro or enterprise (60, 300, 1000 requests per minute)",
    )
    serve.add_argument(
        "--workspace", metavar="DIR", help="for requests that name none (default: the current folder)"
    )
    serve.add_argument("--state-dir", metavar="DIR", help=OPTIONS["--state-dir"][2])
    serve.add_argument("--dev-url", metavar="TEMPLATE", help=OPTIONS["--dev-url"][2])
    serve.add_argument(
        "--drain",
        metavar="SECONDS",
        type=_seconds,
        default=2,
        help="on SIGTERM, time for open streams to end; the runs go on in any case (default 2)",
    )
    cold = "start each run from scratch: slower, but no standby of some 100 MB is kept"
    serve.add_argument("--no-standby", action="store_true", help=cold)


def _demo(demo: argparse.ArgumentParser) -> None:
    demo.add_argument("--format", choices=("ndjson", "pretty"), help=OPTIONS["--format"][2])
    demo.add_argument("--keep", action="store_true", help="keep the temporary workspace")
    demo.add_argument("--record", metavar="FILE", help=OPTIONS["--record"][2])


def _report(report: argparse.ArgumentParser) -> None:
    report.add_argument("transcript", metavar="RUN", help=_RUN)
    report.add_argument("--state-dir", metavar="DIR", help="the state directory")
    report.add_argument("-o", "--output", metavar="FILE.html", required=True, help="the page to write")


def _schema(schema: argparse.ArgumentParser) -> None:
    schema.add_argument(
        "name",
        nargs="?",
        choices=("request", "event", "result", "transcript"),
        help="which one to print (default: all, in one object)",
    )


def _doctor(doctor: argparse.ArgumentParser) -> None:
    doctor.add_argument("--json", action="store_true", help="print one JSON object")


def _runs(runs: argparse.ArgumentParser) -> None:
    runs.add_argument("--json", action="store_true", help="print a JSON array")
    runs.add_argument(
        "--limit", metavar="N", type=_count, default=50, help="list at most N runs (default 50)"
    )
    runs.add_argument("--state-dir", metavar="DIR", help="the state directory")


def _show(show: argparse.ArgumentParser) -> None:
    show.add_argument("run", metavar="RUN", help=_RUN)
    show.add_argument("--state-dir", metavar="DIR", help="the state directory")


def _threads(threads: argparse.ArgumentParser) -> None:
    actions = threads.add_subparsers(dest="action", metavar="ACTION", required=True)
    listed = actions.add_parser("list", help="list threads, the last used first")
    listed.add_argument("--agent", metavar="SLUG", help="only those of this agent")
    listed.add_argument(
        "--limit", metavar="N", type=_count, default=50, help="at most N threads (default 50)"
    )
    listed.add_argument("--cursor", metavar="CURSOR", help="continue after an earlier list")
    show = actions.add_parser(
        "show", help="print the messages of a thread, long ones shortened; --json has all"
    )
    fork = actions.add_parser("fork", help="copy a thread")
    fork.add_argument(
        "--at", metavar="TURN", type=_count, help="copy the turns up to this one (default: all)"
    )
    fork.add_argument("--as", metavar="NEW", dest="new", required=True, help="the id of the copy")
    delete = actions.add_parser("delete", help="delete a thread")
    for action in (show, fork, delete):
        action.add_argument("id", metavar="ID", help="the id of the thread")
    for action in (listed, show):
        action.add_argument("--json", action="store_true", help="print JSON")
    for action in (listed, show, fork, delete):
        action.add_argument("--state-dir", metavar="DIR", help="the state directory")


def _listing(listing: argparse.ArgumentParser) -> None:
    listing.add_argument("--json", action="store_true", help="print JSON")


def _agents(agents: argparse.ArgumentParser) -> None:
    _listing(agents)
    agents.add_argument(
        "--workspace", metavar="DIR", help="the workspace; its .agent-runtime/agents is searched"
    )
    agents.add_argument("--agents-dir", metavar="DIR", help="a further folder with definitions")


def _clean(clean: argparse.ArgumentParser) -> None:
    clean.add_argument(
        "--older-than", metavar="AGE", help="remove older runs: 30d (the default), 12h, 90m, ..."
    )
    clean.add_argument(
        "--max-size",
        metavar="SIZE",
        help="then remove the oldest runs above this total size: 2G (the default), ...",
    )
    clean.add_argument("--dry-run", action="store_true", help="print what would be removed")
    clean.add_argument("--state-dir", metavar="DIR", help="the state directory")


_COMMANDS = {  # options, help, module and function
    "run": (_run, "execute a run: a JSON request on stdin, NDJSON events on stdout", "run", "run_command"),
    "replay": (_replay, "replay a transcript without a model", "replay", "replay_command"),
    "standby": (
        _standby,
        "warm start: import everything once, fork a process per run",
        "standby.server",
        "standby_command",
    ),
    "serve": (_serve, "serve the HTTP API", "serve", "serve_command"),
    "demo": (
        _demo,
        "replay a recorded run with real tools; needs no key and no network",
        "demo",
        "demo_command",
    ),
    "report": (_report, "write an HTML page about a run", "report", "report_command"),
    "runs": (_runs, "list the runs that are kept", "runs", "runs_command"),
    "show": (_show, "print a run as with --format pretty", "runs", "show_command"),
    "threads": (_threads, "list, print, copy and delete threads", "threads", "threads_command"),
    "models": (_listing, "list models, and providers with their key variables", "listings", "models_command"),
    "tools": (_listing, "list the tools", "listings", "tools_command"),
    "agents": (_agents, "list the agent definitions", "listings", "agents_command"),
    "clean": (_clean, "remove the files of old runs", "clean", "clean_command"),
    "schema": (
        _schema,
        "print the JSON Schema of requests, events and transcripts",
        "schema",
        "schema_command",
    ),
    "doctor": (_doctor, "check what a run needs", "doctor", "doctor_command"),
}


def main(argv: Sequence[str]) -> int:
    """Run the command line `argv`; returns the exit status."""
    top = parser(argv[0] if argv else None)
    # argparse would take a transcript after `--verify` for an optional value of it
    words = [_VERIFY_REQUESTS if word == "--verify=requests" else word for word in argv]
    arguments, unknown = top.parse_known_args(words)
    if unknown:
        _command_parser(top, argv[0]).error(_unknown(top, argv[0], unknown))
    if arguments.command is None:
        top.print_help(sys.stderr)
        return ExitCode.INVALID_REQUEST
    has_stdout = sys.stdout is not None  # None when descriptor 1 is closed
    if not has_stdout and arguments.command in (
        "schema",
        "doctor",
        "clean",
        "runs",
        "show",
        "threads",
        "models",
        "tools",
        "agents",
    ):
        return ExitCode.STDOUT_CLOSED
    try:
        code = dispatch(arguments)
        if has_stdout:
            sys.stdout.flush()
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
    from difflib import get_close_matches

    options = list(_command_parser(top, command)._option_string_actions)
    message = f"unknown option or argument: {' '.join(unknown)}"
    meant = get_close_matches(unknown[0].split("=")[0], options, 1)
    return f"{message}; did you mean {meant[0]}?" if meant else message


def dispatch(arguments: argparse.Namespace) -> int:
    """Import the module of the command, and run it."""
    if arguments.command == "run":
        return _dispatch_run(arguments)
    _, _, module, function = _COMMANDS[arguments.command]
    command: Callable[[argparse.Namespace], int] = getattr(
        import_module(f"agent_runtime.cli.{module}"), function
    )
    return command(arguments)


def _dispatch_run(arguments: argparse.Namespace) -> int:
    if arguments.request is None and arguments.prompt is None and os.isatty(0):
        print(_USAGE, file=sys.stderr)
        return ExitCode.INVALID_REQUEST
    if arguments.socket is not None and not arguments.dry_run:
        from agent_runtime.cli.standby.client import hand_over

        return hand_over(arguments, overlay(arguments))
    signals = SignalHandler()  # before the imports, which take most of the time to the first event
    from agent_runtime.cli.run import run_command

    return run_command(arguments, overlay(arguments), signals)


_USAGE = """usage: agent-runtime run [--prompt TEXT | --request FILE] [options], or a JSON request on stdin;
       agent-runtime run --help lists the options"""
