"""`run --socket`: from outside it is the run itself; only the process that does the work is another."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import certifi
import pytest

from agent_runtime.protocol.handover import preamble
from agent_runtime.testing.model_server import ModelServer, Turn
from agent_runtime.testing.runtime import COMMAND, Result, catches, environment, result
from tests.cli.standby.conftest import Json, Running, asked, standing
from tests.support.runs import bash
from tests.support.waiting import until


def launch(standby: Running, cwd: Path, *options: str, **environ: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, "run", "--socket", str(standby.path), *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=environment(environ, cwd.parent / "state"),
    )


def finish(run: subprocess.Popen[bytes], stdin: bytes = b"") -> Result:
    out, errors = run.communicate(stdin, timeout=60)
    return result(out, run.returncode, errors)


def test_directory_environment_options_and_stderr_are_the_clients(standby: Running, workspace: Path) -> None:
    with ModelServer(
        [bash("pwd; echo $WHOSE; sed -n 's/PPid://p' /proc/$PPID/status"), Turn(text="done")]
    ) as server:
        request = asked(server, noSuchField=1)
        done = finish(
            launch(standby, workspace, "--max-turns", "7", WHOSE="mine"),
            json.dumps(request, indent=1).encode(),
        )
    assert done.code == 0
    (printed,) = done.of("tool_result")
    assert printed["output"].split() == [str(workspace), "mine", str(standby.pid)]
    assert (done.events[0]["workspace"], done.events[0]["limits"]["maxTurns"]) == (str(workspace), 7)
    assert "noSuchField" in done.stderr


def test_certificates_are_read_ahead_and_a_clients_own_count(workspace: Path, tmp_path: Path) -> None:
    roots = tmp_path / "roots.pem"
    shutil.copy(certifi.where(), roots)
    with ModelServer([]) as server, standing(tmp_path, {"SSL_CERT_FILE": str(roots)}) as standby:
        roots.unlink()
        body = asked(server, config={"maxRetries": 0})
        # the standby does not speak this protocol
        body["model"]["endpoint"] = server.url.replace("http:", "https:")
        request = json.dumps(body).encode()
        ahead = finish(launch(standby, workspace, SSL_CERT_FILE=str(roots)), request)
        own = finish(launch(standby, workspace, SSL_CERT_FILE=str(tmp_path / "none.pem")), request)
    assert (ahead.code, ahead.complete["error"]["retryable"]) == (1, True)
    assert "the connection to https://127.0.0.1" in ahead.complete["error"]["message"]
    assert (own.code, own.complete["error"]["retryable"]) == (1, False)
    assert f"SSL_CERT_FILE {tmp_path}/none.pem: No such file" in own.complete["error"]["message"]


def test_prompt_and_request_file(standby: Running, workspace: Path, tmp_path: Path) -> None:
    with ModelServer([Turn(text="done")], repeat_last=True) as server:
        environ = server.environ("anthropic")
        by_prompt = finish(launch(standby, workspace, "--prompt", "hello", **environ))
        (tmp_path / "request.json").write_text(json.dumps(asked(server)))
        by_file = finish(launch(standby, workspace, "--request", str(tmp_path / "request.json")))
        assert [by_prompt.complete["output"], by_file.complete["output"]] == ["done", "done"]
        assert "hello" in json.dumps(server.requests[0].body)


@pytest.mark.parametrize(
    ("request_", "options", "code", "stop"),
    [
        ({"prompt": 5}, (), 2, "error"),
        ({"config": {"maxTurns": 1}}, (), 3, "max_turns"),
    ],
)
def test_the_exit_status_of_the_run_is_passed_on(
    request_: Json, options: tuple[str, ...], code: int, stop: str, standby: Running, workspace: Path
) -> None:
    with ModelServer([bash("true")], repeat_last=True) as server:
        done = finish(launch(standby, workspace, *options), json.dumps(asked(server, **request_)).encode())
    assert (done.code, done.complete["stopReason"]) == (code, stop)


@pytest.mark.parametrize(("how", "code"), [("cancel", 130), (signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_handed_over_run_can_be_cancelled(
    how: str | signal.Signals, code: int, standby: Running, workspace: Path
) -> None:
    with ModelServer([bash("echo $$ > pid; sleep 300")]) as server:
        run = launch(standby, workspace)
        assert run.stdin and run.stdout and run.stderr
        run.stdin.write(json.dumps(asked(server)).encode() + b"\n")
        run.stdin.flush()
        head = b""
        while b'"tool_call"' not in head:
            line = run.stdout.readline()
            assert line, (head, run.stderr.read())
            head += line
        if isinstance(how, signal.Signals):
            run.send_signal(how)
        else:
            run.stdin.write(b'{"action":"cancel"}\n')
            run.stdin.flush()
        out, errors = run.communicate(timeout=60)
    done = result(head + out, run.returncode, errors)
    assert (done.code, done.complete["status"]) == (code, "cancelled")


def test_a_reader_that_goes_away_ends_the_run(standby: Running, workspace: Path) -> None:
    with ModelServer([bash("echo said; sleep 300"), Turn(text="done")]) as server:
        run = launch(standby, workspace)
        assert run.stdin and run.stdout and run.stderr
        run.stdin.write(json.dumps(asked(server)).encode())
        run.stdin.close()
        run.stdout.readline()
        run.stdout.close()
        assert (run.wait(60), run.stderr.read()) == (74, b"")
        run.stderr.close()


def test_a_missing_standby_is_reported(standby: Running, workspace: Path) -> None:
    nowhere = str(workspace / "nowhere.sock")
    done = finish(launch(standby, workspace, "--socket", nowhere), b'{"prompt": "hi"}')
    error, complete = done.events
    assert (done.code, error["code"], error["details"]["field"]) == (2, "invalid_request", "socket")
    assert nowhere in error["message"] and complete["status"] == "failed"


def test_the_death_of_the_run_is_reported(standby: Running, workspace: Path) -> None:
    with ModelServer([bash("kill -9 $PPID; sleep 5")]) as server:
        run = launch(standby, workspace)
        out, errors = run.communicate(json.dumps(asked(server)).encode(), timeout=60)
    assert (run.returncode, b"complete" in out) == (1, False)
    assert b"was killed by SIGKILL; the standby goes on" in errors


def test_the_death_of_the_standby_and_the_run_is_reported(workspace: Path, tmp_path: Path) -> None:
    wait = "touch here; until [ -e go ]; do sleep 0.05; done; kill -9 $PPID; sleep 5"
    with ModelServer([bash(wait)]) as server, standing(tmp_path) as standby:
        run = launch(standby, workspace)
        assert run.stdin
        run.stdin.write(json.dumps(asked(server)).encode() + b"\n")
        run.stdin.flush()
        until((workspace / "here").exists)
        standby.process.kill()
        standby.process.wait()
        (workspace / "go").touch()
        out, errors = run.communicate(timeout=60)
    assert (run.returncode, b"complete" in out) == (1, False)
    assert b"the standby has gone, and the run with it" in errors


@pytest.mark.parametrize(("asked_for", "answer"), [("1", 0), ("0", 0), ("-5", 0), (str(1 << 70), 0)])
def test_how_another_process_has_ended_is_not_known(standby: Running, asked_for: str, answer: int) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(standby.path))
        client.sendall(b'{"standby": {"ended": %s}}\n' % asked_for.encode())
        assert json.loads(client.makefile("rb").read()) == {"killed": answer}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_the_connection_is_not_accepted(
    number: signal.Signals, code: int, workspace: Path
) -> None:
    """The queue of the standby is full: the run was never started, and is reported as cancelled."""
    path = workspace / "busy.sock"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(path))
        listener.listen(0)
        first.connect(str(path))
        run = subprocess.Popen(
            [*COMMAND, "run", "--socket", str(path), "--prompt", "x"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=workspace,
            env=environment({}, workspace / "state"),
        )
        until(lambda: catches(run.pid, signal.SIGTERM))
        run.send_signal(number)
        out, errors = run.communicate(timeout=60)
    (complete,) = map(json.loads, out.splitlines())
    assert (run.returncode, complete["type"], complete["status"]) == (code, "complete", "cancelled"), errors


@pytest.mark.parametrize("sent", [b"", b'{"prompt": "g'])
def test_a_run_whose_launcher_dies_before_the_request_is_whole_is_not_started(
    standby: Running, tmp_path: Path, sent: bytes
) -> None:
    """Whoever reads its stream then sees a run that was killed, which may be tried again, and no bad request."""
    events, log = tmp_path / "events.ndjson", tmp_path / "log.txt"
    with socket.socket(socket.AF_UNIX) as launcher, events.open("wb") as out, log.open("wb") as errors:
        launcher.connect(str(standby.path))
        with Path("/dev/null").open("rb") as stdin:
            streams = [errors.fileno(), stdin.fileno(), out.fileno()]
            socket.send_fds(launcher, [preamble(str(tmp_path), {}, {})], streams)
        pid = json.loads(launcher.makefile("rb").readline())["pid"]
        launcher.sendall(sent)
    until(lambda: not Path(f"/proc/{pid}").exists())
    assert events.read_bytes() == b""
    assert "before the request was sent" in log.read_text()
