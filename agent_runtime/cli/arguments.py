"""The options and arguments of each command of the command line."""

from __future__ import annotations

import argparse

from agent_runtime.cli.argument_types import count, port, seconds
from agent_runtime.cli.options import OPTIONS, add_option

VERIFY_REQUESTS = "--verify-requests"  # what `--verify=requests` becomes, see main
_RUN = "a run id, `last`, a transcript, a file of events, or a session of codex or Claude Code"


def run_options(run: argparse.ArgumentParser) -> None:
    """Add the options of `run`."""
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
    for option in OPTIONS:
        add_option(run, option)


def replay_options(replay: argparse.ArgumentParser) -> None:
    """Add the options of `replay`."""
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
    replay.add_argument(VERIFY_REQUESTS, action="store_true", help=argparse.SUPPRESS)
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
        add_option(replay, option)


def standby_options(standby: argparse.ArgumentParser) -> None:
    """Add the options of `standby`."""
    where = standby.add_mutually_exclusive_group(required=True)
    where.add_argument("--socket", metavar="PATH", help="the Unix socket to create")
    where.add_argument("--handed", type=int, help=argparse.SUPPRESS)  # the descriptor that `serve` passes


def serve_options(serve: argparse.ArgumentParser) -> None:
    """Add the options of `serve`."""
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    serve.add_argument("--port", type=port, default=8080, help="0 for any free port (default 8080)")
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
    add_option(serve, "--state-dir")
    add_option(serve, "--dev-url")
    serve.add_argument(
        "--drain",
        metavar="SECONDS",
        type=seconds,
        default=2,
        help="on SIGTERM, time for open streams to end; the runs go on in any case (default 2)",
    )
    cold = "start each run from scratch: slower, but no standby of some 100 MB is kept"
    serve.add_argument("--no-standby", action="store_true", help=cold)


def acp_options(acp: argparse.ArgumentParser) -> None:
    """Add the options of `acp`."""
    acp.add_argument("--model", metavar="MODEL", help="the model of new sessions")
    efforts = ("low", "medium", "high", "xhigh", "max")
    acp.add_argument("--effort", choices=efforts, help="the effort of new sessions")
    add_option(acp, "--agent")
    acp.add_argument("--no-questions", action="store_true", help="the model does not ask the user")
    add_option(acp, "--state-dir")
    help = "let the standby server at this socket execute the runs, while there is one"
    acp.add_argument("--socket", metavar="PATH", help=help)


def demo_options(demo: argparse.ArgumentParser) -> None:
    """Add the options of `demo`."""
    demo.add_argument("--format", choices=("ndjson", "pretty"), help=OPTIONS["--format"][-1])
    demo.add_argument("--keep", action="store_true", help="keep the temporary workspace")
    add_option(demo, "--record")


def report_options(report: argparse.ArgumentParser) -> None:
    """Add the options of `report`."""
    report.add_argument("transcript", metavar="RUN", help=_RUN)
    report.add_argument("--state-dir", metavar="DIR", help="the state directory")
    report.add_argument("-o", "--output", metavar="FILE.html", required=True, help="the page to write")


def schema_options(schema: argparse.ArgumentParser) -> None:
    """Add the options of `schema`."""
    schema.add_argument(
        "name",
        nargs="?",
        choices=("request", "event", "result", "transcript"),
        help="which one to print (default: all, in one object)",
    )


def doctor_options(doctor: argparse.ArgumentParser) -> None:
    """Add the options of `doctor`."""
    doctor.add_argument("--json", action="store_true", help="print one JSON object")
    doctor.add_argument(
        "--keyless",
        action="store_true",
        help="look for API keys that the tools could reach, and fail if there is one",
    )


def runs_options(runs: argparse.ArgumentParser) -> None:
    """Add the options of `runs`."""
    runs.add_argument("--json", action="store_true", help="print a JSON array")
    runs.add_argument("--limit", metavar="N", type=count, default=50, help="list at most N runs (default 50)")
    runs.add_argument("--state-dir", metavar="DIR", help="the state directory")


def export_options(export: argparse.ArgumentParser) -> None:
    """Add the options of `export`."""
    export.add_argument("run", metavar="RUN", help=_RUN)
    export.add_argument("--format", choices=("atif", "otlp"), required=True, help="the form to write")
    export.add_argument("-o", "--output", metavar="FILE", help="the file to write (default: stdout)")
    export.add_argument("--state-dir", metavar="DIR", help="the state directory")


def import_options(importing: argparse.ArgumentParser) -> None:
    """Add the options of `import`."""
    importing.add_argument("source", choices=("codex", "claude"), help="the program that wrote the file")
    importing.add_argument(
        "file", metavar="FILE", help="a rollout of codex, or a session of Claude Code; it may be compressed"
    )
    kept = "the transcript to write (default: it is kept as a run of the state directory)"
    importing.add_argument("-o", "--output", metavar="FILE", help=kept)
    importing.add_argument("--state-dir", metavar="DIR", help="the state directory")


def show_options(show: argparse.ArgumentParser) -> None:
    """Add the options of `show`."""
    show.add_argument("run", metavar="RUN", help=_RUN)
    show.add_argument("--state-dir", metavar="DIR", help="the state directory")


def threads_options(threads: argparse.ArgumentParser) -> None:
    """Add the options of `threads`."""
    actions = threads.add_subparsers(dest="action", metavar="ACTION", required=True)
    listed = actions.add_parser("list", help="list threads, the last used first")
    listed.add_argument("--agent", metavar="SLUG", help="only those of this agent")
    listed.add_argument("--limit", metavar="N", type=count, default=50, help="at most N threads (default 50)")
    listed.add_argument("--cursor", metavar="CURSOR", help="continue after an earlier list")
    show = actions.add_parser(
        "show", help="print the messages of a thread, long ones shortened; --json has all"
    )
    fork = actions.add_parser("fork", help="copy a thread")
    fork.add_argument("--at", metavar="TURN", type=count, help="copy the turns up to this one (default: all)")
    fork.add_argument("--as", metavar="NEW", dest="new", required=True, help="the id of the copy")
    delete = actions.add_parser("delete", help="delete a thread")
    for action in (show, fork, delete):
        action.add_argument("id", metavar="ID", help="the id of the thread")
    for action in (listed, show):
        action.add_argument("--json", action="store_true", help="print JSON")
    for action in (listed, show, fork, delete):
        action.add_argument("--state-dir", metavar="DIR", help="the state directory")


def listing_options(listing: argparse.ArgumentParser) -> None:
    """Add the options of a command that lists something."""
    listing.add_argument("--json", action="store_true", help="print JSON")


def agents_options(agents: argparse.ArgumentParser) -> None:
    """Add the options of `agents`."""
    listing_options(agents)
    agents.add_argument(
        "--workspace", metavar="DIR", help="the workspace; its .agent-runtime/agents is searched"
    )
    agents.add_argument("--agents-dir", metavar="DIR", help="a further folder with definitions")


def clean_options(clean: argparse.ArgumentParser) -> None:
    """Add the options of `clean`."""
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
