"""The options of `agent-runtime run` that are fields of a request."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent_runtime.errors import RequestError

# option -> (field of the request, kind, name of its value in the help, help)
OPTIONS: dict[str, tuple[str, str, str, str]] = {
    "--model": ("model", "text", "MODEL", "provider:name, or a bare name such as claude-sonnet-4-5"),
    "--workspace": (
        "workspace",
        "text",
        "DIR",
        "the folder that the agent works in (default: the current folder)",
    ),
    "--max-turns": ("maxTurns", "int", "N", "maximum number of model calls (default 50)"),
    "--max-tokens": ("maxTokens", "int", "N", "maximum output tokens of each model call"),
    "--max-cost": ("maxCost", "float", "DOLLARS", "US dollars for the whole run"),
    "--temperature": ("temperature", "float", "NUMBER", "0 to 2, for models that accept it"),
    "--timeout": ("timeout", "float", "SECONDS", "seconds for the whole run"),
    "--agent": ("agent", "text", "SLUG", "slug of an agent definition (default code-assistant)"),
    "--tools": ("tools", "list", "NAMES", "names of tools, separated by commas"),
    "--thread": ("threadId", "text", "ID", "id of the thread to continue or to start"),
    "--state-dir": ("stateDir", "text", "DIR", "the folder for threads, transcripts, outputs and logs"),
    "--record": (
        "record",
        "text",
        "FILE",
        "write the transcript to this file; by default it is kept in the state directory",
    ),
    "--no-record": ("noRecord", "flag", "", "write no transcript"),
    "--partial": ("partial", "flag", "", "emit delta events too"),
    "--format": ("format", "text", "FORMAT", "ndjson, or pretty (the default on a terminal)"),
    "--dev-url": (
        "devUrl",
        "text",
        "TEMPLATE",
        "template of public addresses, such as https://{port}-{sandboxId}.example.com",
    ),
    "--tool-user": ("toolUser", "text", "USER", "run the tools as this user"),
    "--confine": (
        "confine",
        "flag",
        "",
        "let tools write only to the workspace, the mounts and the temporary folder",
    ),
    "--track-ignored": ("trackIgnored", "flag", "", "report changes of ignored files too"),
    "--heartbeat": (
        "heartbeat",
        "float",
        "SECONDS",
        "emit a heartbeat after this many seconds without an event",
    ),
    "--question-timeout": (
        "questionTimeout",
        "float",
        "SECONDS",
        "seconds to wait for the answer to a question; then a run on a thread ends,"
        " and its next run brings the answer",
    ),
    "--log-level": (
        "logLevel",
        "text",
        "LEVEL",
        "level of the log on stderr: debug, info, warning (the default) or error",
    ),
    "--skills-dir": ("skillsDir", "text", "DIR", "a further folder with skills"),
    "--agents-dir": ("agentsDir", "text", "DIR", "a further folder with agent definitions"),
    "--mcp-config": ("mcpConfig", "text", "FILE", "a file with MCP servers, in the form of .mcp.json"),
    "--workspace-mcp": ("workspaceMcp", "flag", "", "use the MCP servers of the workspace's .mcp.json"),
}


def add_option(parser: argparse.ArgumentParser, option: str) -> None:
    """Add one of `OPTIONS` to a command."""
    _, kind, metavar, text = OPTIONS[option]
    if kind == "flag":
        parser.add_argument(option, action="store_true", help=text)
    else:
        parser.add_argument(option, metavar=metavar, help=text)


def overlay(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the options as fields of a request. Invalid numbers stay strings, which the validation refuses."""
    given: dict[str, Any] = {}
    for option, (field, kind, *_) in OPTIONS.items():
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


def named_by_option(error: RequestError, given: Mapping[str, Any]) -> RequestError:
    """Return the error with the name of the option that gave its field, if any."""
    if error.field == "prompt" and "prompt" in given:
        return error.labelled("--prompt")
    for option, (field, *_) in OPTIONS.items():
        name, bracket, index = error.field.partition("[")  # an entry of a list: tools[0]
        if field in given and name in (field, f"config.{field}"):
            return error.labelled(f"{option}{bracket}{index}")
    return error


def read_file(name: str) -> bytes:
    """Return the content of the file of `--request`. Raises RequestError when it cannot be read."""
    try:
        return Path(name).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RequestError(
            "request", f"expected a file that can be read: {name!r} ({reason})", label="--request"
        ) from error
