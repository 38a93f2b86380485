"""The log of the server: a reader of stderr that does not read must not stop it."""

from __future__ import annotations

import fcntl
import logging
import re
import subprocess
import sys

import pytest

from agent_runtime.server.logs import BackgroundHandler
from agent_runtime.testing.runtime import full
from tests.server.conftest import Serve
from tests.support.waiting import until

_CHATTY = """
import logging, sys
from agent_runtime.server.logs import log_to_stderr
log_to_stderr()
for number in range(5_000):
    logging.warning("%d %s", number, "x" * 200)
print("done", flush=True)
"""


def test_a_full_pipe_does_not_block() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _CHATTY], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline() == b"done\n"
        assert process.wait(60) == 0
        first = process.stderr.read().splitlines()[0]  # which one depends on when the thread began to write
    assert re.fullmatch(rb"WARNING root: \d+ x{200}", first)


def test_a_server_whose_log_is_not_read_answers_and_ends(serve: Serve) -> None:
    served = serve()
    with served.client() as client:
        (served.state / "runs").write_text("not a folder")  # each request logs an error
        assert served.process.stderr
        reader = served.process.stderr.fileno()
        fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
        until(lambda: client.post("/v1/run", json={"prompt": "x"}).status_code == 500 and full(reader))
        for _ in range(3):  # the thread that writes the log waits for its reader now
            assert client.post("/v1/run", json={"prompt": "x"}).status_code == 500
        assert client.get("/healthz").status_code == 200
    served.process.terminate()
    assert served.process.wait(60) == 0


def test_a_record_that_cannot_be_formatted_is_written(capfd: pytest.CaptureFixture[str]) -> None:
    handler = BackgroundHandler()
    handler.handle(logging.LogRecord("a", logging.ERROR, "f", 1, "%d", ("x",), None))
    handler.flush()
    assert capfd.readouterr().err == "ERROR a: '%d'\n"
