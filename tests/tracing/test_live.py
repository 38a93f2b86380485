"""The trace of a run at a collector: one tree, the names of the conventions, and no cost when the collector fails."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.agent.trace import valid_traceparent
from agent_runtime.errors import RequestError
from agent_runtime.protocol.request import parse
from agent_runtime.testing.model_server import Call, Fault, Turn
from agent_runtime.testing.model_streams import WireFormat
from agent_runtime.testing.scripted import ScriptedRun, run_scripted
from tests.mcp.conftest import faulty
from tests.tracing.collector import Collector, collecting, values

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
SCRIPT = [
    Turn(calls=[Call("bash", {"command": "echo $TRACEPARENT"}), Call("mcp__s__meta", {})]),
    Turn(calls=[Call("bash", {"command": "exit 3"}), Call("unknown", {})]),
    Turn(text="done"),
]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    path = tmp_path / "workspace"
    path.mkdir()
    return path


def run(workspace: Path, url: str = "", env: dict[str, str] | None = None, **fields: Any) -> ScriptedRun:
    given = ({"OTEL_EXPORTER_OTLP_ENDPOINT": url} if url else {}) | (env or {})
    return run_scripted(SCRIPT, workspace, env=given, mcpServers={"s": faulty()}, tools=["bash"], **fields)


def output(done: ScriptedRun, number: int) -> str:
    call = done.of("tool_call")[number]["id"]
    [text] = [each["output"] for each in done.of("tool_result") if each["id"] == call]
    return str(text).strip()


# A run waits for the collector for a second at most, which a busy machine may need for less than these tests look at.
needs_collector = pytest.mark.timed


@needs_collector
@pytest.mark.parametrize("format", ["anthropic", "openai-responses", "openai-chat"])
def test_a_run_is_one_trace(format: WireFormat, workspace: Path) -> None:
    with collecting() as collector:
        done = run(workspace, collector.url, format=format, traceparent=TRACEPARENT, threadId="t")
    assert done.code == 0
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    ids = {span.span_id: span.name for span in collector.spans}
    parents = sorted((span.name, ids.get(span.parent_span_id, "")) for span in collector.spans)
    model = done.of("start")[0]["model"]
    root = "invoke_agent code-assistant"
    assert parents == sorted(
        [
            (root, ""),
            *[(f"chat {model}", root)] * 3,
            *[("execute_tool bash", root)] * 2,
            ("execute_tool mcp__s__meta", root),
            ("execute_tool unknown", root),
            ("tools/call meta", "execute_tool mcp__s__meta"),
        ]
    )
    [run_span] = collector.named("invoke_agent")
    assert run_span.parent_span_id.hex() == PARENT
    attributes = values(run_span.attributes)
    assert attributes["gen_ai.operation.name"] == "invoke_agent"
    assert attributes["gen_ai.conversation.id"] == "t"
    assert attributes["agent_runtime.run.id"] == done.complete["runId"]
    assert attributes["gen_ai.usage.input_tokens"] == done.complete["usage"]["inputTokens"]
    chat = values(collector.named("chat")[0].attributes)
    assert chat["gen_ai.provider.name"] == ("anthropic" if format == "anthropic" else "openai")
    assert (chat["gen_ai.request.model"], chat["gen_ai.response.finish_reasons"]) == (model, ["tool_calls"])
    assert chat["gen_ai.usage.output_tokens"] > 0
    failed = [values(span.attributes) for span in collector.named("execute_tool") if span.status.code == 2]
    assert [each["error.type"] for each in failed] == ["failed", "failed"]
    assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in collector.spans)
    assert collector.resources[0]["service.name"] == "agent-runtime"
    check_context(done, collector)
    check_metrics(collector)
    assert "echo" not in str(collector.spans)  # no contents


def check_context(done: ScriptedRun, collector: Collector) -> None:
    """The model, the MCP server and the tools receive the context of their spans."""
    chats = {f"00-{TRACE}-{span.span_id.hex()}-01" for span in collector.named("chat")}
    assert {request.headers["traceparent"] for request in done.requests} == chats
    [run_span], [mcp_span] = collector.named("invoke_agent"), collector.named("tools/call")
    assert output(done, 0) == f"00-{TRACE}-{run_span.span_id.hex()}-01"
    assert json.loads(output(done, 1))["traceparent"] == f"00-{TRACE}-{mcp_span.span_id.hex()}-01"


def check_metrics(collector: Collector) -> None:
    assert collector.metrics.pop("agent_runtime.cost", None) != []
    counts = {name: sum(point.count for point in points) for name, points in collector.metrics.items()}
    assert counts == {
        "gen_ai.client.token.usage": 6,
        "gen_ai.client.operation.duration": 3,
        "gen_ai.invoke_agent.duration": 1,
        "gen_ai.execute_tool.duration": 4,
        "mcp.client.operation.duration": 1,
    }
    tokens = collector.metrics["gen_ai.client.token.usage"]
    assert {values(point.attributes)["gen_ai.token.type"] for point in tokens} == {"input", "output"}


@needs_collector
def test_contents_are_sent_only_when_asked_for(workspace: Path) -> None:
    with collecting() as collector:
        run(workspace, collector.url, {"AGENT_RUNTIME_OTEL_CONTENT": "1"})
    tool = values(collector.named("execute_tool bash")[0].attributes)
    assert "echo $TRACEPARENT" in tool["gen_ai.tool.call.arguments"]
    assert tool["gen_ai.tool.call.result"].startswith("00-")
    assert "done" in values(collector.named("chat")[-1].attributes)["gen_ai.output.messages"]


def test_without_a_collector_the_context_of_the_caller_is_passed_on(workspace: Path) -> None:
    for fields, env in (({"traceparent": TRACEPARENT}, {}), ({}, {"TRACEPARENT": TRACEPARENT})):
        done = run(workspace, env=env, **fields)
        assert {request.headers["traceparent"] for request in done.requests} == {TRACEPARENT}
        assert output(done, 0) == TRACEPARENT
        assert json.loads(output(done, 1))["traceparent"] == TRACEPARENT
    assert "traceparent" not in run(workspace).requests[0].headers


def test_an_unsampled_trace_is_only_passed_on(workspace: Path) -> None:
    given = f"00-{TRACE}-{PARENT}-00"
    with collecting() as collector:
        done = run(workspace, collector.url, traceparent=given)
    assert collector.spans == []
    assert {request.headers["traceparent"] for request in done.requests} == {given}


@pytest.mark.parametrize(
    "wrong", ["", "x", TRACEPARENT.upper(), f"ff-{TRACE}-{PARENT}-01", f"{TRACEPARENT}-x"]
)
def test_a_wrong_context_is_refused_in_the_request_and_is_none_elsewhere(wrong: str) -> None:
    with pytest.raises(RequestError) as raised:
        parse({"prompt": "x", "traceparent": wrong})
    assert raised.value.field == "traceparent"
    assert valid_traceparent(wrong) == ""


def test_a_wrong_context_of_the_environment_is_ignored(workspace: Path) -> None:
    done = run_scripted([Turn(text="done")], workspace, env={"TRACEPARENT": f"{TRACEPARENT}-x"})
    assert done.code == 0 and "traceparent" not in done.requests[0].headers


@needs_collector
def test_failed_model_calls_are_errors(workspace: Path) -> None:
    with collecting() as collector:
        script = [Turn(fault=Fault(401, message="no"))]
        done = run_scripted(script, workspace, env={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})
    assert done.code == 1
    errors = {span.name.split()[0]: values(span.attributes)["error.type"] for span in collector.spans}
    assert errors == {"chat": "authentication_error", "invoke_agent": "authentication_error"}


@pytest.mark.timed
def test_a_dead_or_slow_collector_does_not_delay_the_run(workspace: Path) -> None:
    """Each run ends at most a second later than one without a collector; an exporter would wait for ten or more."""

    def seconds(url: str) -> float:
        started = time.monotonic()
        done = run_scripted(
            [Turn(calls=[Call("bash", {"command": "echo x"})]), Turn(text="done")],
            workspace,
            env={"OTEL_EXPORTER_OTLP_ENDPOINT": url},
        )
        assert done.code == 0 and "Traceback" not in done.stderr
        return time.monotonic() - started

    usual = seconds("")
    with collecting(delay=20) as slow:
        assert seconds(slow.url) < 2 * usual + 5  # other programs run on this machine
    assert seconds("http://127.0.0.1:9") < 2 * usual + 5
    assert seconds("http://192.0.2.1:4318") < 2 * usual + 5


@needs_collector
def test_a_secret_of_the_collector_reaches_no_tool(workspace: Path) -> None:
    with collecting() as collector:
        done = run_scripted(
            [Turn(calls=[Call("bash", {"command": "env"})]), Turn(text="done")],
            workspace,
            env={
                "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
                "OTEL_EXPORTER_OTLP_HEADERS": "authorization=a-secret-of-the-collector",
            },
        )
    assert "a-secret-of-the-collector" not in json.dumps(done.events) + json.dumps(done.requests[1].body)
    assert len(collector.spans) == 4
