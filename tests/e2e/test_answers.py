"""Structured answers through the real program: native, translated, by a tool, repaired, refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from agent_runtime.protocol.messages import WireFormat
from agent_runtime.testing.model_server import Call, Fault, ModelServer, Request, Turn
from agent_runtime.testing.plugin import Replay
from agent_runtime.testing.runtime import Json, Result, run
from tests.providers.answer_schemas import ADA, PERSON, SCHEMAS

FORMATS = get_args(WireFormat)


def tool_names(body: Json) -> set[str]:
    return {str(tool.get("name") or tool.get("function", {}).get("name")) for tool in body.get("tools", [])}


def native(body: Json) -> Any:
    if "response_format" in body:
        return body["response_format"]["json_schema"]["schema"]
    return (body.get("text") or body.get("output_config") or {}).get("format", {}).get("schema")


def answering(value: Any) -> Callable[[Request], Turn]:
    """Answer in the way that the request asks for: as text in its format, or by its tool."""

    def answer(request: Request) -> Turn:
        if "final_answer" in tool_names(request.body):
            return Turn(calls=[Call("final_answer", value)])
        assert native(request.body), "neither a format nor a tool"
        return Turn(text=json.dumps(value))

    return answer


def ask(server: ModelServer, format: WireFormat, workspace: Path, schema: Any, **fields: Any) -> Result:
    request = {"prompt": "x", "outputSchema": schema, **fields}
    return run(request, workspace, server.environ(format))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "kind, notice", [("a list at the root", ""), ("optional", "null"), ("any names", "final_answer")]
)
def test_an_answer_is_reported_recorded_and_replayed(
    kind: str, notice: str, format: WireFormat, workspace: Path, tmp_path: Path, replay: Replay
) -> None:
    schema, given, expected = SCHEMAS[kind]
    transcript = tmp_path / "t.ndjson"
    with ModelServer([Turn(calls=[Call("bash", {"command": "true"})]), answering(given)]) as server:
        done = ask(server, format, workspace, schema, tools=["bash"], record=str(transcript))
        assert server.violations == []
    assert done.code == 0, done.complete
    assert done.complete["structuredOutput"] == expected
    assert json.loads(done.complete["output"]) == expected
    found = [each["message"] for each in done.of("notice") if each["code"] == "parameter_dropped"]
    assert len(found) == (bool(notice) and (kind, format) != ("optional", "anthropic")), found
    assert all(notice in message for message in found), found
    assert replay(transcript).complete["structuredOutput"] == expected


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("kind", ["nested", "any names"])
def test_an_answer_that_does_not_satisfy_the_schema_is_returned_twice(
    kind: str, format: WireFormat, workspace: Path, tmp_path: Path, replay: Replay
) -> None:
    schema, good, _ = SCHEMAS[kind]
    bad: Json = {"people": [{"name": 3}], "x": "no"}
    for wrong, code in ((2, 0), (3, 1)):
        transcript = tmp_path / f"{wrong}.ndjson"
        with ModelServer([*[answering(bad)] * wrong, answering(good)]) as server:
            done = ask(server, format, workspace, schema, record=str(transcript))
            assert len(server.requests) == min(wrong + 1, 3)
        assert done.code == code, done.complete
        if code == 0:
            assert done.complete["structuredOutput"] == good
            assert "does not satisfy" in json.dumps(server.bodies[-1])
        else:
            assert (done.complete["status"], done.complete["stopReason"]) == ("failed", "invalid_output")
            assert done.complete["error"]["code"] == "invalid_output"
            assert "structuredOutput" not in done.complete
        assert replay(transcript).code == code


@pytest.mark.parametrize("format", FORMATS)
def test_a_provider_that_refuses_structured_output_gets_a_tool(format: WireFormat, workspace: Path) -> None:
    message = {
        "anthropic": "output_config.format.schema: Schema is too complex for compilation.",
        "openai-responses": "Invalid schema for response_format 'answer': schema is too complex.",
        "openai-chat": "Function calling with a response mime type: 'application/json' is unsupported",
    }[format]
    with ModelServer([Turn(fault=Fault(400, message=message)), answering({"people": []})]) as server:
        done = ask(server, format, workspace, SCHEMAS["nested"][0])
    assert done.code == 0 and done.complete["structuredOutput"] == {"people": []}
    assert native(server.bodies[0]) and native(server.bodies[1]) is None
    assert [notice["details"]["parameter"] for notice in done.of("notice")] == ["outputSchema"]


@pytest.mark.parametrize(
    "model", ["anthropic:claude-3-5-haiku-latest", "openai:gpt-4-turbo", "openai-chat:gpt-4", "custom"]
)
def test_models_without_structured_output_give_the_answer_by_a_tool(model: str, workspace: Path) -> None:
    with ModelServer([answering(ADA)]) as server:
        custom = {"provider": "custom", "endpoint": f"{server.url}/v1", "name": "m", "format": "openai"}
        request = {"prompt": "x", "outputSchema": PERSON, "model": custom if model == "custom" else model}
        done = run(request, workspace, server.environ("anthropic"))
    assert done.code == 0 and done.complete["structuredOutput"] == ADA
    assert "final_answer" in tool_names(server.bodies[0]) and native(server.bodies[0]) is None
    [result] = done.of("tool_result")
    assert result["tool"] == "final_answer" and not result["isError"]


@pytest.mark.parametrize(
    "text, value",
    [
        ('```json\n{"name": "Ada", "age": 36}\n```', ADA),
        (' {"name": "\\ud800", "age": 1}', {"name": "\ufffd", "age": 1}),
    ],
)
def test_answers_are_read_in_the_forms_that_models_write(text: str, value: Any, workspace: Path) -> None:
    with ModelServer([Turn(text=text)]) as server:
        done = ask(server, "openai-chat", workspace, PERSON)
    assert done.code == 0 and done.complete["structuredOutput"] == value


@pytest.mark.parametrize(
    "texts", [("NaN", "{", "Ada is 36."), ('{"name": "Ada"}', "[]", '{"name": "Ada", "age": NaN}')]
)
def test_invalid_answers_are_refused(texts: tuple[str, ...], workspace: Path) -> None:
    """None of three attempts is an answer."""
    with ModelServer([Turn(text=text) for text in texts]) as server:
        done = ask(server, "openai-chat", workspace, PERSON)
    assert (done.code, done.complete["stopReason"]) == (1, "invalid_output")
    assert (done.complete["output"], done.complete["iterations"]) == (texts[-1], 3)


def test_an_invalid_schema_is_an_invalid_request(workspace: Path) -> None:
    with ModelServer([]) as server:
        done = ask(server, "anthropic", workspace, {"type": "objekt"})
        assert server.requests == []
    assert done.code == 2
    assert done.complete["error"]["details"]["field"] == "outputSchema"


def test_input_that_arrives_with_the_answer_goes_on(workspace: Path) -> None:
    schema = SCHEMAS["any names"][0]
    with ModelServer([answering({"a": 1}), answering({"b": 2})]) as server:
        lines = [
            json.dumps({"prompt": "x", "outputSchema": schema}),
            json.dumps({"action": "input", "text": "more"}),
        ]
        done = run("\n".join(lines), workspace, server.environ("anthropic"))
    assert done.code == 0
    assert done.complete["structuredOutput"] in ({"a": 1}, {"b": 2})


@pytest.mark.parametrize("size, whole", [(360_000, True), (700_000, False)])
def test_a_large_answer_is_whole_or_in_a_file(size: int, whole: bool, workspace: Path) -> None:
    answer = {"name": "x" * size, "age": 1}
    with ModelServer([Turn(text=json.dumps(answer))]) as server:
        done = ask(server, "openai-chat", workspace, PERSON)
    assert done.code == 0 and done.complete["truncated"] is True
    assert done.complete.get("structuredOutput") == (answer if whole else None)
    assert json.loads(Path(done.complete["outputFile"]).read_text()) == answer
