"""Models at Amazon Bedrock: the path, the body, the key, and its binary event stream."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from anthropic._constants import ANTHROPIC_API_VERSION

from agent_runtime.errors import ProviderError
from agent_runtime.providers.aws_events import AwsEventDecoder
from agent_runtime.providers.endpoints import resolve
from agent_runtime.providers.models import find_model
from agent_runtime.testing.model_server import Turn
from agent_runtime.testing.scripted import run_scripted
from tests.providers.asking import asking_at
from tests.providers.cloud_servers import Answer, as_frames, as_json, chunks_of, frame, frame_of, serving

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


def environ_at(url: str) -> dict[str, str]:
    return {"ANTHROPIC_BEDROCK_BASE_URL": url, "AWS_BEARER_TOKEN_BEDROCK": "a-key"}


@pytest.mark.anyio
async def test_a_turn_is_streamed_in_frames() -> None:
    with serving(lambda _: as_frames(chunks_of(Turn("done", "hm")))) as server:
        async with asking_at(f"bedrock:{MODEL}", environ_at(server.url)) as asker:
            turn = await asker.ask("go")
    assert turn.message.text == "done"
    [request] = server.requests
    assert request.path == f"/model/{MODEL}/invoke-with-response-stream"
    assert request.headers["authorization"] == "Bearer a-key" and "x-api-key" not in request.headers
    assert "anthropic-version" not in request.headers
    assert request.body["anthropic_version"] == ANTHROPIC_API_VERSION
    assert not {"model", "stream"} & request.body.keys()


@pytest.mark.anyio
async def test_the_key_of_a_request_is_sent_as_a_token() -> None:
    model = {"provider": "bedrock", "name": MODEL, "apiKey": "of-the-request"}
    with serving(lambda _: as_frames(chunks_of(Turn("done")))) as server:
        async with asking_at(model, environ_at(server.url)) as asker:
            await asker.ask("go")
    assert server.requests[0].headers["authorization"] == "Bearer of-the-request"
    assert "x-api-key" not in server.requests[0].headers


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("throttlingException", "rate_limited"),
        ("serviceUnavailableException", "overloaded"),
        ("modelStreamErrorException", "provider_error"),
    ],
)
async def test_an_exception_in_the_stream_is_an_error(name: str, code: str) -> None:
    raised = frame(b'{"message": "Too many."}', exception_type=name, message_type="exception")
    answer = Answer(200, raised, {"Content-Type": "application/vnd.amazon.eventstream"})
    with serving(lambda _: answer) as server:
        async with asking_at(f"bedrock:{MODEL}", environ_at(server.url)) as asker:
            with pytest.raises(ProviderError, match="Too many") as failed:
                await asker.ask("go")
    assert failed.value.code == code


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("status", "kind", "code", "retryable"),
    [
        (
            429,
            "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/",
            "rate_limited",
            True,
        ),
        (400, "ThrottlingException", "rate_limited", True),
        (503, "ServiceUnavailableException", "overloaded", True),
        (500, "InternalServerException", "provider_error", True),
        (408, "ModelTimeoutException", "provider_timeout", True),
        (429, "ModelNotReadyException", "overloaded", True),
        (403, "AccessDeniedException", "permission_denied", False),
        (403, "UnrecognizedClientException", "authentication_error", False),
        (403, "InvalidSignatureException", "authentication_error", False),
        (403, "ExpiredTokenException", "authentication_error", False),
        (400, "ValidationException", "provider_error", False),
        (404, "ResourceNotFoundException", "model_not_found", False),
    ],
)
async def test_an_error_is_known_by_the_header_of_its_type(
    status: int, kind: str, code: str, retryable: bool
) -> None:
    answer = as_json({"message": "No."}, status, x_amzn_ErrorType=kind, x_amzn_RequestId="r-1")
    with serving(lambda _: answer) as server:
        async with asking_at(f"bedrock:{MODEL}", environ_at(server.url)) as asker:
            with pytest.raises(ProviderError, match="No") as failed:
                await asker.ask("go")
    error = failed.value
    assert (error.code, error.retryable, error.request_id) == (code, retryable, "r-1")


@pytest.mark.parametrize("damage", [0, 5, 9, 20, -1])
def test_a_damaged_message_is_refused(damage: int) -> None:
    message = bytearray(frame_of({"type": "ping"}))
    message[damage] ^= 1
    with pytest.raises(ValueError, match=r"checksum"):
        list(AwsEventDecoder().feed(bytes(message)))


def test_messages_arrive_in_pieces_of_any_size() -> None:
    data = [{"type": "a"}, {"type": "b", "text": "ä" * 50}]
    decoder, found = AwsEventDecoder(), []
    for byte in b"".join(map(frame_of, data)):
        found += [json.loads(event.data) for event in decoder.feed(bytes([byte]))]
    assert found == data


def test_a_stream_that_ends_inside_a_message_is_refused() -> None:
    decoder = AwsEventDecoder()
    assert list(decoder.feed(frame_of({"type": "ping"})[:-1])) == []
    with pytest.raises(ValueError, match="ends inside"):
        decoder.finish()


def test_the_model_is_known_by_its_id_at_bedrock() -> None:
    endpoint = resolve(f"bedrock:{MODEL}", {"AWS_REGION": "eu-west-1"})
    assert endpoint.model_row == find_model("claude-sonnet-4-5") and endpoint.tool_family == "claude"


def test_a_run_without_a_region_says_which_variable_is_missing(tmp_path: Path) -> None:
    env = {"AWS_BEARER_TOKEN_BEDROCK": "a-key", "HOME": str(tmp_path)}
    done = run_scripted([], tmp_path, env=env, options=["--model", f"bedrock:{MODEL}"])
    assert done.code == 2
    assert "AWS_REGION" in done.of("error")[0]["message"]
