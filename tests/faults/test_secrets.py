"""Every way that a key could take out of the runtime, and that none is open."""

from __future__ import annotations

import base64
import json
import os
import resource
import signal
import subprocess
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from agent_runtime.testing.model_server import Call, Fault, ModelServer, Turn
from agent_runtime.testing.model_streams import WireFormat
from agent_runtime.testing.runtime import COMMAND, Json, Result, environment, result
from tests.cli.standby.conftest import Running
from tests.faults.standby_runs import KEYS, StandbyRun, holds, request_for, resumed
from tests.support.formats import FORMATS
from tests.support.runs import bash
from tests.support.waiting import until

KEY = KEYS[0]
TOKEN = "named/as a secret+0123456789"
PROBE = r"""
import glob, os, re
parent = os.getppid()
for pid in (parent, %d):
    for name in ("environ", "mem", "maps", "auxv", "stack", "syscall"):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                print(name, "open", b"sk-ant" in file.read(1 << 16))
        except OSError as error:
            print(name, "shut", error.errno)
for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):
    try:
        data = open(path, "rb").read()
    except OSError:
        continue
    if b"loopback-0123456789" in data and b"run_" + os.environ["AGENT_RUNTIME_RUN_ID"][4:].encode() in data:
        print("LEAK", path, data)
"""


def run(standby: Running, script: list[Turn], folder: Path, **fields: object) -> tuple[StandbyRun, Result]:
    with ModelServer(script) as server:
        trial = StandbyRun(standby, request_for("anthropic", **fields), server.environ("anthropic"), folder)
        return trial, trial.end()


def test_no_process_shows_the_key_to_a_tool(standby: Running, tmp_path: Path) -> None:
    """Neither the run's own nor the standby's, for the same user or for root."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    subprocess.run(["git", "init", "-q", workspace], check=True)
    (workspace / "tracked").write_text("x\n")
    subprocess.run(["git", "-C", workspace, "add", "."], check=True)
    (workspace / "probe.py").write_text(PROBE % standby.pid)
    # the process that reads the old content of a tracked file is alive meanwhile
    edit = "echo y > tracked"
    _, done = run(standby, [bash(edit), bash("exec python3 -I probe.py"), Turn(text="ok")], tmp_path)
    printed = done.of("tool_result")[1]["output"].splitlines()
    assert not [line for line in printed if "LEAK" in line or line.endswith("True")]
    assert {line for line in printed if line.startswith("mem ")} == {"mem shut 13"}


def test_the_helpers_of_the_runtime_have_no_key(workspace: Path) -> None:
    """A launch, not a fork: what starts before the first event starts from the whole environment."""
    subprocess.run(["git", "init", "-q", workspace], check=True)
    (workspace / "tracked").write_text("x\n")
    git = ["git", "-C", str(workspace), "-c", "user.name=n", "-c", "user.email=e"]
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True)
    key = "sk-ant-of-no-other-test-01"  # other tests start runs meanwhile
    look = f"cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -a {key[3:]}"
    script = [bash("echo y > tracked; sleep 0.1 & true"), bash(f"echo z > tracked; {look}"), Turn(text="ok")]
    with ModelServer(script) as server:
        done = launch({"prompt": "x", "workspace": str(workspace)}, server, workspace, ANTHROPIC_API_KEY=key)
    assert "[secret]" not in done.of("tool_result")[1]["output"]


def launch(request: Json, server: ModelServer, workspace: Path, **more: str) -> Result:
    environ = environment(server.environ("anthropic") | more, workspace.parent / "state")
    done = subprocess.run(
        [*COMMAND, "run"],
        input=json.dumps(request).encode(),
        capture_output=True,
        env=environ,
        timeout=60,
    )
    return result(done.stdout, done.returncode, done.stderr)


ENCODE = f"""
import base64, urllib.parse
for key in ({KEY!r}, {TOKEN!r}):
    raw = key.encode()
    print(key, raw.hex(), urllib.parse.quote(key, safe=""), urllib.parse.quote_plus(key), sep=chr(10))
    for pad in range(3):
        print(base64.b64encode(b"." * pad + raw).decode(), base64.urlsafe_b64encode(b"." * pad + raw).decode())
"""


def forms(key: str) -> list[str]:
    raw = key.encode()
    encoded = [base64.b64encode(b"." * pad + raw).decode()[4:-4] for pad in range(3)]
    return [key, raw.hex(), quote(key, safe=""), quote_plus(key), *encoded]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("awkward", [False, True], ids=["pieces", "letters"])
def test_a_key_is_masked_wherever_it_is_echoed(
    awkward: bool, format: WireFormat, standby: Running, tmp_path: Path
) -> None:
    """In the model's words, its thinking, its calls and the tools' output, whole and in pieces, in every spelling."""
    record = tmp_path / "transcript.ndjson"
    said = f"keys {KEY} and {TOKEN}."
    script = [
        Turn(fault=Fault(500, {"retry-after": "0"}, message=said)),
        Turn(text=said, thinking=said, calls=[Call("bash", {"command": "cat script.py; python3 script.py"})]),
        Turn(calls=[Call("bash", {"command": f"echo '{said}'"})]),
        Turn(text=said),
    ]
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "script.py").write_text(ENCODE)
    with ModelServer(script, awkward=awkward) as server:
        fields = {"env": {"MY_SECRET": TOKEN}, "partial": True, "record": str(record), "threadId": "t"}
        trial = StandbyRun(standby, request_for(format, **fields), server.environ(format), tmp_path)
        done = trial.end()
    assert done.code == 0 and done.complete["output"] == "keys [secret] and [secret]."
    for kind in ("text_delta", "thinking_delta", "tool_output_delta", "tool_input_delta"):
        joined = "".join(event["delta"] for event in done.of(kind))
        assert not [form for key in (KEY, TOKEN) for form in forms(key) if form in joined], kind
        assert "[secret]" in joined or (kind == "thinking_delta" and format == "openai-chat"), kind
    everything = trial.raw.decode() + done.stderr + record.read_text()
    for key in (KEY, TOKEN):
        assert not [form for form in forms(key) if form in everything]
    kept = [path for path in trial.state.rglob("*") if holds(path, KEY) or holds(path, TOKEN)]
    assert kept == []  # neither the thread nor a log
    resumed(standby, format, "t", tmp_path, server.signatures)


def test_a_refused_request_does_not_echo_its_key(standby: Running, tmp_path: Path) -> None:
    model = {"provider": "custom", "endpoint": 5, "apiKey": KEY, "format": "anthropic", "name": KEY}
    trial = StandbyRun(standby, {"model": model, "metadata": {"the key": KEY}}, {}, tmp_path)
    assert trial.end().code == 2


def test_no_core_is_dumped(workspace: Path) -> None:
    def unlimited() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    if not _dumps(["sleep", "60"], {}, unlimited, workspace):
        pytest.skip("this machine dumps no core of any process")
    with ModelServer([Turn(fault=Fault(black_hole=True))]) as server:
        environ = environment(server.environ("anthropic"), workspace.parent / "state")
        command = [*COMMAND, "run", "--prompt", "x"]
        assert not _dumps(command, environ, unlimited, workspace, lambda: bool(server.requests))


def _dumps(
    command: list[str], environ: dict[str, str], before: object, cwd: Path, ready: object = None
) -> bool:
    """Does the process leave a core when it crashes?"""
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=os.environ | environ,
        preexec_fn=before,  # type: ignore[call-overload]
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    if callable(ready):
        until(ready)
    os.kill(process.pid, signal.SIGSEGV)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = status
    return os.WCOREDUMP(status)


def test_a_password_in_a_url_is_masked(standby: Running, tmp_path: Path) -> None:
    """Of a provider: no tool sees the variable, and whoever echoes the password is masked."""
    password, record = "p4ss-w0rd-0123456789", tmp_path / "t.ndjson"
    refused = Turn(fault=Fault(500, {"retry-after": "0"}, message=f"no {password}"))
    with ModelServer([bash("env; cat /proc/$PPID/environ"), refused, Turn(text=password)]) as server:
        environ = server.environ("anthropic")
        environ["ANTHROPIC_BASE_URL"] = server.url.replace("//", f"//user:{password}@")
        environ["https_proxy"] = "http://user:pr0xy-w0rd-01@127.0.0.1:9"
        request = request_for("anthropic", record=str(record), threadId="t")
        done = StandbyRun(standby, request, environ, tmp_path).end()
        assert server.requests[0].headers["authorization"].startswith("Basic ")
    assert (done.code, done.complete["output"]) == (0, "[secret]")
    assert "ANTHROPIC_BASE_URL" not in done.of("tool_result")[0]["output"]
    # tools go through it too
    assert "https_proxy=http://user:[secret]@" in done.of("tool_result")[0]["output"]
    assert not [path for path in tmp_path.rglob("*") if holds(path, password)]
