"""What the standby knows of the process of a run when the client of the run has read its end."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from agent_runtime.testing.runtime import environment

# The process exits when the test closes the third socket.
PROGRAM = """
import socket, sys
from agent_runtime.cli.standby.attempt import Attempt
client, standby, test = (socket.socket(fileno=int(word)) for word in sys.argv[1:])
Attempt(client, set(), standby, {}).run()
test.recv(1)
"""


@pytest.mark.parametrize("request_line", [{"action": "freeze"}, {"prompt": ""}])
def test_the_standby_counts_no_process_whose_stream_has_ended(
    request_line: dict[str, str], tmp_path: Path
) -> None:
    pairs = [
        socket.socketpair(),
        socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET),
        socket.socketpair(),
    ]
    client, channel, test = (own for own, _ in pairs)
    others = [other.detach() for _, other in pairs]
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", PROGRAM, *map(str, others)],
        pass_fds=others,
        env=environment({}, tmp_path),
        cwd=tmp_path,
    )
    for number in others:
        os.close(number)
    with process, client, channel, test:
        client.sendall(json.dumps(request_line).encode() + b"\n")
        client.settimeout(60)
        channel.settimeout(0)
        if "action" in request_line:
            channel.settimeout(60)
            assert json.loads(channel.recv(1 << 16)) == request_line
            channel.send(b'{"type": "notice"}')
            channel.settimeout(0)
        lines = client.makefile().read().splitlines()
        assert json.loads(lines[-1])["type"] in ("notice", "complete")
        assert channel.recv(1) == b""
        assert process.poll() is None
