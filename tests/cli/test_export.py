"""`export`: accepted by the validator of ATIF and by OpenTelemetry's own messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from atif import Trajectory
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from agent_runtime.testing.model_server import Call, Fault, Turn
from agent_runtime.testing.scripted import ScriptedRun, run_scripted
from tests.support.commands import command
from tests.support.formats import FORMATS

SCRIPT = [
    Turn(text="I look first.", calls=[Call("bash", {"command": "echo one"}), Call("nothing", "no JSON")]),
    Turn(fault=Fault(529)),
    Turn(calls=[Call("bash", {"command": "exit 3"})]),
    Turn(text="done"),
]
HISTORY = [
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": "hi"},
    {"role": "user", "content": [{"type": "text", "text": "now this"}]},
]


def export(path: Path, format: str) -> Any:
    done = command("export", path, "--format", format, state=path.parent)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module", params=FORMATS)
def recorded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[ScriptedRun, Path]:
    folder = tmp_path_factory.mktemp("recorded")
    path, workspace = folder / "t.ndjson", folder / "w"
    workspace.mkdir()
    options = ["--record", str(path)]
    done = run_scripted(
        SCRIPT, workspace, format=request.param, messages=HISTORY, options=options, tools=["bash"]
    )
    return done, path


def test_a_trajectory_is_valid_and_complete(recorded: tuple[ScriptedRun, Path]) -> None:
    done, path = recorded
    found = Trajectory.model_validate(export(path, "atif"))
    assert found.schema_version == "ATIF-v1.8"
    sources = [step.source for step in found.steps]
    assert sources == ["system", "user", "agent", "user", "agent", "agent", "agent"]
    texts = [str(step.message) for step in found.steps[1:4]]
    assert texts == ["hello", "hi", "now this\ngo"]
    first, second, last = found.steps[4:]
    assert first.message == "I look first."
    assert first.tool_calls and first.observation
    assert [call.arguments for call in first.tool_calls] == [
        {"command": "echo one"},
        {"arguments": "no JSON"},
    ]
    assert [result.source_call_id for result in first.observation.results] == [
        call.tool_call_id for call in first.tool_calls
    ]
    assert str(first.observation.results[0].content).strip() == "one"
    assert second.observation and last.message == "done"
    usage = done.complete["usage"]
    assert found.final_metrics and found.final_metrics.total_prompt_tokens == usage["inputTokens"]
    assert (
        sum(step.metrics.prompt_tokens or 0 for step in found.steps if step.metrics) == usage["inputTokens"]
    )
    assert found.agent.tool_definitions


def test_a_file_of_events_can_be_exported(recorded: tuple[ScriptedRun, Path], tmp_path: Path) -> None:
    done, _ = recorded
    path = tmp_path / "events.ndjson"
    path.write_text("".join(f"{json.dumps(event)}\n" for event in done.events))
    found = Trajectory.model_validate(export(path, "atif"))
    assert [step.source for step in found.steps] == ["agent"] * 3
    assert found.notes
    assert len(export(path, "otlp")["resourceSpans"][0]["scopeSpans"][0]["spans"]) == 7


def test_a_trace_is_valid_and_always_the_same(recorded: tuple[ScriptedRun, Path]) -> None:
    _, path = recorded
    found = export(path, "otlp")
    assert export(path, "otlp") == found
    [resource] = found["resourceSpans"]
    spans = resource["scopeSpans"][0]["spans"]
    names = [span["name"].split()[0] for span in spans]
    assert sorted(names) == ["chat"] * 3 + ["execute_tool"] * 3 + ["invoke_agent"]
    assert {span.get("parentSpanId") for span in spans} == {None, spans[0]["spanId"]}
    assert all(int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"]) for span in spans)
    json_format = pytest.importorskip("google.protobuf.json_format")
    json_format.ParseDict(found, ExportTraceServiceRequest())


def test_exporting_anything_else_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    for run in ("gone", str(tmp_path / "empty")):
        done = command("export", run, "--format", "atif", state=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("agent-runtime: ")
