"""A key that is handed over to a standby: it is used there, and no process shows it to a tool on its way."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from agent_runtime.testing.model_server import ModelServer, Turn
from agent_runtime.testing.runtime import COMMAND, Result, environment, result
from tests.cli.standby.conftest import Running, asked, standing
from tests.support.runs import bash
from tests.support.waiting import until

KEY = "sk-handed-over-0123456789"
# looks for the key's head and tail apart, so that neither this script nor what it prints holds the key
PROBE = """
import glob, os, re
head, tail = b"sk-handed", b"-over-0123456789"
def said(path):
    try:
        return open(path, "rb").read()
    except OSError:  # it has just ended
        return b""
standby = os.environ["STANDBY"].encode()
def is_ours(folder):  # the standby shows a title in place of its command line
    parent = said(folder + "/stat").rpartition(b")")[2].split()[1:2]
    return (folder == "/proc/" + standby.decode() or parent == [standby]
            or os.environ["SOCKET"].encode() in said(folder + "/cmdline"))
pids = [int(folder.split("/")[2]) for folder in glob.glob("/proc/[0-9]*") if is_ours(folder)]
print("processes", len(pids))
def scan(pid):
    with open(f"/proc/{pid}/mem", "rb") as memory:
        for line in open(f"/proc/{pid}/maps"):
            start, end = (int(number, 16) for number in re.match("(.+?)-(.+?) ", line).groups())
            try:
                memory.seek(start)
                yield memory.read(end - start)
            except (OSError, ValueError, OverflowError):
                pass
for pid in pids:
    try:
        print("memory read", any(head + tail in part for part in scan(pid)))
    except OSError as error:
        print("memory shut")
    for name in ("environ", "cmdline"):
        if head + tail in said(f"/proc/{pid}/{name}"):
            print("SEEN in", name)
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            os.readlink(f"/proc/{pid}/fd/{fd}")
        print("descriptors open")
    except OSError:
        print("descriptors shut")
"""


def pipe(text: str) -> int:
    reader, writer = os.pipe()
    os.set_inheritable(reader, True)
    os.write(writer, text.encode())
    os.close(writer)
    return reader


def hand_over(standby: Running, request: bytes, environ: dict[str, str], fd: int, cwd: Path) -> Result:
    done = subprocess.run(
        [*COMMAND, "run", "--socket", str(standby.path)],
        input=request,
        capture_output=True,
        cwd=cwd,
        env=environment(environ, cwd.parent / "state"),
        pass_fds=[fd],
        timeout=60,
    )
    os.close(fd)
    return result(done.stdout, done.returncode, done.stderr)


@pytest.mark.parametrize("by", ["descriptor", "variable"])
def test_the_key_of_the_sender_is_used_and_seen_nowhere(by: str, standby: Running, workspace: Path) -> None:
    (workspace / "probe.py").write_text(PROBE)
    fd = pipe(KEY)
    key = {"descriptor": {"ANTHROPIC_API_KEY_FD": str(fd)}, "variable": {"ANTHROPIC_API_KEY": KEY}}[by]
    until(lambda: not standby.children())  # they belong to other tests
    with ModelServer(
        [
            bash(f"SOCKET={standby.path} STANDBY={standby.pid} python3 -I probe.py; env"),
            Turn(text=f"by {KEY}"),
        ]
    ) as server:
        kept = {name: value for name, value in server.environ("anthropic").items() if "KEY" not in name}
        done = hand_over(standby, b'{"prompt": "x"}', kept | key, fd, workspace)
        assert any(KEY in value for value in server.requests[0].headers.values()), (done, server.requests)
    assert (done.code, done.complete["output"]) == (0, "by [secret]")
    (results,) = done.of("tool_result")
    lines = results["output"].splitlines()
    assert lines[0] == "processes 3"  # the standby, its fork, and the sender
    assert lines[1:7] == ["memory shut", "descriptors shut"] * 3
    assert "[secret]" not in results["output"] and "API_KEY" not in results["output"]


def test_a_descriptor_in_the_request_is_refused_and_stays_unread(standby: Running, workspace: Path) -> None:
    """The standby reads the request, and has not the descriptors of its sender."""
    fd = pipe(KEY)
    mine = os.dup(fd)
    with ModelServer() as server:
        request = asked(server)
        request["model"]["apiKey"] = f"fd:{fd}"
        done = hand_over(standby, json.dumps(request).encode(), {}, fd, workspace)
    assert (done.code, done.of("error")[0]["details"]["field"]) == (2, "model.apiKey")
    with os.fdopen(mine) as left:
        assert left.read() == KEY


def test_a_key_that_the_standby_has_by_descriptor_serves_every_run(tmp_path: Path) -> None:
    fd = pipe(KEY)
    with ModelServer([Turn(text="ok")], repeat_last=True) as server:
        environ = {name: value for name, value in server.environ("anthropic").items() if "KEY" not in name}
        with standing(tmp_path, environ | {"ANTHROPIC_API_KEY_FD": str(fd)}, [fd]) as standby:
            os.close(fd)
            for _ in range(2):
                standby.run({"prompt": "x", "workspace": str(tmp_path)}).events()
        assert all(KEY in str(request.headers) for request in server.requests)
        assert len(server.requests) == 2
