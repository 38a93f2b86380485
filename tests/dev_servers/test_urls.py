"""Public and local addresses, and the base paths that servers print."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_runtime.dev_servers.urls import Template, announced, base_path, check_template, local_url
from agent_runtime.errors import RequestError

VITE = (
    "\n  \x1b[32m\x1b[1mVITE\x1b[22m v7.1.0\x1b[39m  \x1b[2mready in \x1b[0m\x1b[1m312\x1b[22m ms\n\n"
    "  \x1b[32m➜\x1b[39m  \x1b[1mLocal\x1b[22m:   \x1b[36mhttp://localhost:\x1b[1m5173\x1b[22m/app/\x1b[39m\n"
    "  \x1b[32m➜\x1b[39m  \x1b[1mNetwork\x1b[22m: \x1b[36mhttp://172.16.0.2:\x1b[1m5173\x1b[22m/app/\x1b[39m\n"
)


@pytest.mark.parametrize(
    ("template", "scheme", "path", "url"),
    [
        (None, "http", "", "http://localhost:5173"),
        (None, "https", "/app/", "https://localhost:5173/app/"),
        (
            "https://{port}-{sandboxId}.sandboxes.example.com",
            "http",
            "",
            "https://5173-sbx1.sandboxes.example.com",
        ),
        ("https://{port}.example.com/", "http", "/app/", "https://5173.example.com/app/"),
        ("https://example.com/p/{port}", "https", "/app", "https://example.com/p/5173/app"),
    ],
)
def test_the_template_makes_the_public_url(template: str | None, scheme: str, path: str, url: str) -> None:
    if template:
        check_template(template)
    assert Template(template, "sbx1").url(5173, scheme=scheme, path=path) == url


def test_a_template_that_lacks_its_id_gives_the_local_url() -> None:
    assert Template("https://{port}-{sandboxId}.example.com", None).url(80) == "http://localhost:80"


@pytest.mark.parametrize(
    "template",
    [
        "",
        "https://example.com",
        "https://{port",
        "https://{port}-{sandbox}.com",
        "https://{}.com",
        "{port}.com",
        "ftp://{port}.com",
        "https://{port:05d}.com",
        "https://{port!r}.com",
        "https://{{port}}.com",
        "https://{port} .com",
    ],
)
def test_a_template_that_is_none_is_refused_by_name(template: str) -> None:
    with pytest.raises(RequestError) as caught:
        check_template(template)
    assert (caught.value.field, repr(template) in str(caught.value)) == ("devUrl", True)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (VITE, [(5173, "/app/"), (5173, "/app/")]),
        ("   - Local:        http://localhost:3000\n", [(3000, "")]),
        (" * Running on http://127.0.0.1:5000\nPress CTRL+C to quit", [(5000, "")]),
        ("INFO:     Uvicorn running on http://0.0.0.0:8000 (Press CTRL+C to quit)", [(8000, "")]),
        ("Serving HTTP on :: port 8000 (http://[::]:8000/) ...", [(8000, "")]),
        ("Starting development server at http://127.0.0.1:8000/\r\n", [(8000, "")]),
        (f"    http://{os.uname().nodename}:8888/lab?token=secret", [(8888, "/lab")]),
        ("Listening at https://localhost/base.", [(443, "/base")]),
        ("open http://app.localhost:4000/x/#/route", [(4000, "/x/")]),
        ("see https://vite.dev:5173/guide/ and http://example.com:80/", []),
        ("$ curl -s http://localhost:3000/api/users", []),
        ('127.0.0.1 - - "GET http://localhost:3000/api HTTP/1.1" 200', []),
    ],
)
def test_announcements(text: str, found: list[tuple[int, str]]) -> None:
    assert list(announced(text)) == found


@given(st.text(alphabet="htps:/[]0159.localhost \n\x1b[m?#{}", max_size=300))
def test_no_output_breaks_the_search(text: str) -> None:
    assert all(0 <= port <= 99999 and path != "/" for port, path in announced(text))


def test_the_first_announcement_in_the_log_counts(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert base_path(log, 5173) is None
    log.write_bytes(
        b"\xff" * 100_000 + VITE.encode() + b"docs: http://localhost:5173/docs http://localhost:99/x/\n"
    )
    assert (base_path(log, 5173), base_path(log, 99), base_path(log, 3000)) == ("/app/", "/x/", None)


def test_local_urls() -> None:
    hosts = ["127.0.0.1", "::1", "127.0.0.2", "10.0.0.5"]
    assert [local_url(host, 1, path="/a") for host in hosts] == [
        "http://localhost:1/a",
        "http://[::1]:1/a",
        "http://127.0.0.2:1/a",
        "http://10.0.0.5:1/a",
    ]
