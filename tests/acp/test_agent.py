"""`agent-runtime acp`, driven by the client of the official package."""

from __future__ import annotations

import asyncio
import base64
import io
from pathlib import Path
from typing import Any

import pytest
from acp.exceptions import RequestError
from PIL import Image

from agent_runtime.cli.main import main
from agent_runtime.testing.model_server import Call, Fault, Scripted, Turn
from tests.acp.editor import Editor, drive
from tests.cli.standby.conftest import standing
from tests.support.runs import bash


def test_a_prompt_streams_its_text_thoughts_calls_and_diffs(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "old.txt").write_text("one\ntwo\n")
    edit = {"command": "str_replace", "path": str(work / "old.txt"), "old_str": "two", "new_str": "zwei"}

    async def scenario(client: Editor) -> None:
        hello = await client.initialize()
        assert hello.protocol_version == 1
        session = await client.new(work)
        result = await client.prompt(session, "Write it.")
        assert result.stop_reason == "end_turn"
        assert "Let me see." in client.text() and client.text().endswith("done")
        shell, edited = client.call("call_a"), client.call("call_b")
        assert (shell["kind"], shell["status"], shell["title"]) == (
            "execute",
            "completed",
            "cat old.txt; echo x > new.txt",
        )
        assert "one" in shell["content"][-1]["content"]["text"]
        created = next(each for each in shell["content"] if each["type"] == "diff")
        assert created == {"type": "diff", "path": str(work / "new.txt"), "newText": "x\n"}
        assert (edited["kind"], edited["status"]) == ("edit", "completed")
        [diff] = [each for each in edited["content"] if each["type"] == "diff"]
        assert (diff["oldText"], diff["newText"]) == ("one\ntwo\n", "one\nzwei\n")
        assert edited["locations"] == [{"path": str(work / "old.txt"), "line": 1}]
        assert client.of_kind("usage_update")[-1]["size"] > 0
        assert client.of_kind("session_info_update")[0]["title"] == "Write it."

    drive(
        [
            Turn(
                text="Let me see.",
                calls=[Call("bash", {"command": "cat old.txt; echo x > new.txt"}, id="call_a")],
            ),
            Turn(calls=[Call("str_replace_based_edit_tool", edit, id="call_b")]),
            Turn(text="done"),
        ],
        tmp_path / "state",
        scenario,
    )


def test_a_session_is_listed_loaded_resumed_closed_and_deleted(tmp_path: Path) -> None:
    state, work = tmp_path / "state", tmp_path / "work"
    work.mkdir()
    sessions: list[str] = []

    async def first(client: Editor) -> None:
        await client.initialize()
        sessions.append(await client.new(work))
        await client.prompt(sessions[0], "Remember 42.")

    async def second(client: Editor) -> None:
        await client.initialize()
        listed = (await client.agent.list_sessions(cwd=str(work))).sessions
        assert [(each.session_id, each.title) for each in listed] == [(sessions[0], "Remember 42.")]
        assert (await client.agent.list_sessions(cwd=str(tmp_path))).sessions == []
        with pytest.raises(RequestError):
            await client.prompt(sessions[0], "not loaded yet")
        await client.agent.load_session(cwd=str(work), session_id=sessions[0], mcp_servers=[])
        assert client.text("user_message_chunk") == "Remember 42."
        assert client.call("call_a")["status"] == "completed"
        assert client.text() == "noted"
        client.updates.clear()
        await client.agent.resume_session(cwd=str(work), session_id=sessions[0], mcp_servers=[])
        assert client.updates == []
        await client.prompt(sessions[0], "What was it?")
        assert client.text() == "42"
        await client.agent.close_session(session_id=sessions[0])
        with pytest.raises(RequestError):
            await client.prompt(sessions[0], "closed")
        await client.agent._conn.send_request("session/delete", {"sessionId": sessions[0]})
        assert (await client.agent.list_sessions()).sessions == []
        with pytest.raises(RequestError):
            await client.agent.load_session(cwd=str(work), session_id=sessions[0], mcp_servers=[])

    drive([Turn(calls=[Call("bash", {"command": "true"}, id="call_a")]), Turn(text="noted")], state, first)
    server = drive([Turn(text="42")], state, second)
    assert "Remember 42." in str(server.bodies[0]["messages"])


def test_cancelling_ends_the_prompt_and_its_processes(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()

    async def scenario(client: Editor) -> None:
        await client.initialize()
        session = await client.new(work)
        prompt = asyncio.create_task(client.prompt(session, "Sleep."))
        await client.wait_for(lambda update: "begun" in str(update.get("content")))
        with pytest.raises(RequestError):  # one prompt at a time
            await client.prompt(session, "Another.")
        await client.agent.cancel(session_id=session)
        assert (await prompt).stop_reason == "cancelled"
        assert client.of_kind("tool_call_update")[-1]["status"] == "failed"
        assert (await client.prompt(session, "Go on.")).stop_reason == "end_turn"

    drive([bash("echo begun; sleep 1000"), Turn(text="after")], tmp_path / "state", scenario)


def test_a_cancel_that_comes_before_the_run_has_started_ends_it(tmp_path: Path) -> None:
    async def scenario(client: Editor) -> None:
        await client.initialize()
        session = await client.new(tmp_path)
        prompt = asyncio.create_task(client.prompt(session, "Sleep."))
        await asyncio.sleep(0)
        await client.agent.cancel(session_id=session)
        assert (await prompt).stop_reason == "cancelled"

    drive([bash("sleep 1000")], tmp_path / "state", scenario)


def test_options_change_the_model_and_the_effort(tmp_path: Path) -> None:
    async def scenario(client: Editor) -> None:
        await client.initialize()
        created = await client.agent.new_session(cwd=str(tmp_path), mcp_servers=[])
        options = {option.id: option for option in created.config_options or ()}
        assert options["model"].current_value == "anthropic:claude-sonnet-4-5"
        assert options["effort"].category == "thought_level"
        session = created.session_id
        changed = await client.agent.set_config_option(
            config_id="model", session_id=session, value="anthropic:claude-opus-4-8"
        )
        assert changed and changed.config_options[0].current_value == "anthropic:claude-opus-4-8"
        await client.agent.set_config_option(config_id="effort", session_id=session, value="high")
        await client.prompt(session, "go")
        for option, value in (("effort", "enormous"), ("colour", "red"), ("model", "nothing:")):
            with pytest.raises(RequestError):
                await client.agent.set_config_option(config_id=option, session_id=session, value=value)

    server = drive([Turn(text="ok")], tmp_path / "state", scenario)
    assert server.bodies[0]["model"] == "claude-opus-4-8"
    assert server.bodies[0]["output_config"]["effort"] == "high"


def test_runs_are_executed_by_a_standby_while_there_is_one(tmp_path: Path) -> None:
    parent = bash("awk '/^PPid/ {print $2}' /proc/$PPID/status")
    parents: list[int] = []

    with standing(tmp_path) as standby:

        async def scenario(client: Editor) -> None:
            await client.initialize()
            session = await client.new(tmp_path)
            assert (await client.prompt(session, "one")).stop_reason == "end_turn"
            parents.append(standby.pid)
            standby.process.terminate()
            await asyncio.to_thread(standby.process.wait)
            assert (await client.prompt(session, "two")).stop_reason == "end_turn"
            assert client.text().endswith("third")

        script: list[Scripted] = [parent, Turn(text="first"), parent, Turn(text="third")]
        server = drive(script, tmp_path / "state", scenario, "--socket", str(standby.path))
    [first, second] = [
        block["content"]
        for message in server.bodies[-1]["messages"]
        for block in message["content"]
        if block["type"] == "tool_result"
    ]
    assert str(parents[0]) in str(first) and str(parents[0]) not in str(second)


def blob(uri: str, media_type: str, data: bytes) -> dict[str, Any]:
    encoded = base64.b64encode(data).decode()
    return {"type": "resource", "resource": {"uri": uri, "mimeType": media_type, "blob": encoded}}


def test_images_and_resources_reach_the_model(tmp_path: Path) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (40, 40), "red").save(picture, "PNG")
    blocks: list[Any] = [
        "What is this?",
        {"type": "image", "mimeType": "image/png", "data": base64.b64encode(picture.getvalue()).decode()},
        {"type": "resource", "resource": {"uri": "file:///n.txt", "text": "the note"}},
        {"type": "resource_link", "uri": f"file://{tmp_path}/a%20b.txt", "name": "a b"},
        blob("https://x.example/r?id=1", "application/pdf", b"%PDF-1.7\0"),
        blob("file:///w/a.zip", "application/zip", b"PK\3\4\0"),
        blob("file:///w/dot", "image/png", picture.getvalue()),
    ]

    async def scenario(client: Editor) -> None:
        await client.initialize()
        session = await client.new(tmp_path)
        request = {"sessionId": session, "prompt": [{"type": "text", "text": blocks[0]}, *blocks[1:]]}
        await client.agent._conn.send_request("session/prompt", request)
        await client.agent.load_session(cwd=str(tmp_path), session_id=session, mcp_servers=[])
        kinds = [update["content"]["type"] for update in client.of_kind("user_message_chunk")]
        assert kinds == ["text", "image", "text", "resource_link", "text", "image"]
        with pytest.raises(RequestError, match="Invalid params"):
            audio = {"type": "audio", "mimeType": "audio/wav", "data": "UklGRg=="}
            await client.agent._conn.send_request("session/prompt", {"sessionId": session, "prompt": [audio]})

    server = drive([Turn(text="red")], tmp_path / "state", scenario)
    content = server.bodies[0]["messages"][0]["content"]
    kinds = [block["type"] for block in content]
    assert kinds == ["text", "image", "text", "document", "text", "image"]
    assert content[3]["title"] == "https://x.example/r?id=1"
    assert "/w/a.zip (application/zip) is left out: it is binary" in content[4]["text"]
    assert "the note" in str(content) and f"{tmp_path}/a b.txt" in str(content)


def test_a_plan_is_shown(tmp_path: Path) -> None:
    steps = [{"step": "look", "status": "completed"}, {"step": "write", "status": "in_progress"}]

    async def scenario(client: Editor) -> None:
        await client.initialize()
        await client.prompt(await client.new(tmp_path), "Go.")
        [plan] = client.of_kind("plan")
        assert [(each["content"], each["status"]) for each in plan["entries"]] == [
            ("look", "completed"),
            ("write", "in_progress"),
        ]

    drive([Turn(calls=[Call("update_plan", {"plan": steps})]), Turn(text="ok")], tmp_path / "state", scenario)


@pytest.mark.parametrize(
    ("fault", "code"),
    [(Fault(401, message="bad key"), -32000), (Fault(404, message="no such model"), -32603)],
    ids=["authentication", "model"],
)
def test_a_run_that_fails_is_an_error_of_the_prompt(tmp_path: Path, fault: Fault, code: int) -> None:
    async def scenario(client: Editor) -> None:
        await client.initialize()
        session = await client.new(tmp_path)
        with pytest.raises(RequestError) as error:
            await client.prompt(session, "Go.")
        assert error.value.code == code
        assert (await client.prompt(session, "Again.")).stop_reason == "end_turn"

    drive([Turn(fault=fault), Turn(text="ok")], tmp_path / "state", scenario)


def test_a_missing_extra_is_an_error_that_names_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("agent_runtime.cli.acp.find_spec", lambda name: None)
    assert main(["acp"]) == 2
    assert "pip install 'agent-runtime[acp]'" in capsys.readouterr().err
