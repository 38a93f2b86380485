"""The floor of the benchmarks: an agent loop in bare Python, without any of the promises of a runtime.

python -I benchmarks/floor.py URL      (Messages, or another format with its path in the URL)
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from urllib.parse import urlsplit


def main() -> None:
    """Send the task, run the commands of the answers with bash, until an answer has none."""
    url = urlsplit(sys.argv[1])
    history: list[dict[str, object]] = [{"role": "user", "content": "go"}]
    schema = {"type": "object", "properties": {"command": {"type": "string"}}}
    tools = [{"name": "bash", "description": "Runs a command.", "input_schema": schema}]
    with (
        socket.create_connection((url.hostname, url.port)) as connection,
        connection.makefile("rb") as answers,
    ):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            body = json.dumps({"model": "m", "stream": True, "tools": tools, "messages": history}).encode()
            head = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)
            length = 0
            while (line := answers.readline().strip()) != b"":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            call, arguments = {}, ""
            for line in answers.read(length).splitlines():
                if line.startswith(b"data: "):
                    event = json.loads(line[6:])
                    if event["type"] == "content_block_start":
                        call = event["content_block"]
                    elif event["type"] == "content_block_delta":
                        arguments += event["delta"].get("partial_json", "")
            if call.get("type") != "tool_use":
                return
            command = json.loads(arguments)["command"]
            done = subprocess.run(["bash", "-c", command], stdin=subprocess.DEVNULL, capture_output=True)
            history.append({"role": "assistant", "content": [call | {"input": {"command": command}}]})
            output = (done.stdout + done.stderr)[-40_000:].decode(errors="replace")
            result = {"type": "tool_result", "tool_use_id": call["id"], "content": output or "(no output)"}
            history.append({"role": "user", "content": [result]})


if __name__ == "__main__":
    main()
