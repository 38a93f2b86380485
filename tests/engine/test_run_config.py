"""Defaults that a request leaves open, and what is refused before the first event."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent_runtime.engine.run_config import prepare
from agent_runtime.errors import RequestError
from agent_runtime.protocol.request import parse


def prepared(tmp_path: Path, environ: dict[str, str]) -> str:
    request, _ = parse({"prompt": "x", "workspace": str(tmp_path), "stateDir": str(tmp_path)})
    return prepare(request, environ).endpoints[0].model


@pytest.mark.parametrize(
    ("environ", "model"),
    [
        ({"ANTHROPIC_API_KEY": "k"}, "claude-sonnet-5-5"),
        ({"OPENAI_API_KEY": "k"}, "gpt-5.5"),
        ({"OPENAI_API_KEY_FD": "9"}, "gpt-5.5"),
        ({"GEMINI_API_KEY": "k", "OPENAI_API_KEY": "k"}, "gpt-5.5"),
        ({}, "claude-sonnet-5-5"),
    ],
)
def test_the_default_model_is_that_of_the_key(environ: dict[str, str], model: str, tmp_path: Path) -> None:
    if "OPENAI_API_KEY_FD" in environ:
        environ = environ | {"OPENAI_API_KEY": ""}
    assert prepared(tmp_path, environ) == model


def test_a_key_without_a_default_model_requires_a_model(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"^model: .*--model google:NAME.*GEMINI_API_KEY"):
        prepared(tmp_path, {"GEMINI_API_KEY": "k"})


@pytest.mark.parametrize(
    "url", ["nonsense", "localhost:8080", "ftp://host", "//host", "http://", "https:///x"]
)
def test_an_invalid_base_url_is_reported_with_its_variable(url: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=f"^ANTHROPIC_BASE_URL: .*got '{url}'$"):
        prepared(tmp_path, {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": url})


@pytest.mark.parametrize(
    "schema",
    [
        "string",
        [],
        True,
        {"type": "objekt"},
        {"properties": []},
        {"$ref": "#/$defs/none"},
        {"description": "x" * 70_000},
    ],
)
def test_an_invalid_output_schema_is_refused_with_its_field(schema: object, tmp_path: Path) -> None:
    with pytest.raises(RequestError) as refused:
        prepare(
            parse({"prompt": "x", "workspace": str(tmp_path), "outputSchema": schema})[0],
            {"OPENAI_API_KEY": "k"},
        )
    assert refused.value.field == "outputSchema"


def test_a_workspace_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    request, _ = parse({"prompt": "x", "workspace": str(tmp_path / "file")})
    with pytest.raises(RequestError, match=r"^workspace: expected a folder .*Not a directory"):
        prepare(request, {})
