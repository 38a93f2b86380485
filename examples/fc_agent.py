"""What an FC Agent does: launch one run in a workspace, follow its events, pass Ctrl-C on as a cancel.

python examples/fc_agent.py examples/request.json WORKSPACE
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-I", "-m", "agent_runtime", "run"]
say = partial(print, flush=True)  # whoever follows this launcher through a pipe sees it live


def show(event: dict[str, Any]) -> None:
    match event["type"]:
        case "tool_call":
            say(f"{event['tool']} {json.dumps(event['input'], ensure_ascii=False)}")
        case "file_edit":
            say(f"  {event['action']} {event['path']} (+{event['additions']} -{event['deletions']})")
        case "dev_url":
            say(f"  {event['url']} is {event['status']}")
        case "error":
            say(f"  {event['code']}: {event['message']}", file=sys.stderr)
        case "complete":
            say(f"{event['status']}: {event['output']}")


def launch(request: dict[str, Any], workspace: str) -> int:
    # In a session of its own: Ctrl-C on the terminal reaches this process alone, and becomes a cancel.
    run = subprocess.Popen(
        COMMAND, cwd=workspace, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert run.stdin is not None and run.stdout is not None
    sink = run.stdin

    def send(message: dict[str, Any]) -> None:
        sink.write(json.dumps(message).encode() + b"\n")
        sink.flush()

    send(request)
    signal.signal(signal.SIGINT, lambda *_: send({"action": "cancel"}))
    for line in run.stdout:
        show(json.loads(line))
    return run.wait()


if __name__ == "__main__":
    sys.exit(launch(json.loads(Path(sys.argv[1]).read_text("utf-8")), sys.argv[2]))
