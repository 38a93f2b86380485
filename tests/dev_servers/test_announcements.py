"""What servers print: addresses, what they are for, and logs that grow."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_runtime.dev_servers.announcements import Announcement, Announcements, Log, announced

VITE = (
    "\n  \x1b[32m\x1b[1mVITE\x1b[22m v7.1.0\x1b[39m  \x1b[2mready in \x1b[0m\x1b[1m312\x1b[22m ms\n\n"
    "  \x1b[32m➜\x1b[39m  \x1b[1mLocal\x1b[22m:   \x1b[36mhttp://localhost:\x1b[1m5173\x1b[22m/app/\x1b[39m\n"
    "  \x1b[32m➜\x1b[39m  \x1b[1mNetwork\x1b[22m: \x1b[36mhttp://172.16.0.2:\x1b[1m5173\x1b[22m/app/\x1b[39m\n"
)


def web(port: int, path: str = "", scheme: str = "http") -> Announcement:
    return Announcement(port, scheme, path)


def helper(port: int, scheme: str = "", path: str = "") -> Announcement:
    return Announcement(port, scheme, path, "helper")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (VITE, [web(5173, "/app/"), web(5173, "/app/")]),
        ("   - Local:        http://localhost:3000\n", [web(3000)]),
        (" * Running on http://127.0.0.1:5000\nPress CTRL+C to quit", [web(5000)]),
        ("INFO:     Uvicorn running on http://0.0.0.0:8000 (Press CTRL+C to quit)", [web(8000)]),
        ("Serving HTTP on :: port 8000 (http://[::]:8000/) ...", [Announcement(8000), web(8000)]),
        ("Starting development server at http://127.0.0.1:8000/\r\n", [web(8000)]),
        (f"    http://{os.uname().nodename}:8888/lab?token=secret", [web(8888, "/lab")]),
        ("Listening at https://localhost/base.", [web(443, "/base", "https")]),
        ("open http://app.localhost:4000/x/#/route", [web(4000, "/x/")]),
        ("HTTP://LOCALHOST:3000", [web(3000)]),
        ("Ready on http://localhost:3602 ", [web(3602)]),
        ("MCP Inspector is up at http://127.0.0.1:6274", [web(6274)]),
        # ports without a URL
        ("Example app listening on port 3000", [Announcement(3000)]),
        ("server started, port: 3000", [Announcement(3000)]),
        ("Listening on :8080", [Announcement(8080)]),
        ("Listening on 0.0.0.0:9000", [Announcement(9000)]),
        ("* Listening on tcp://0.0.0.0:3000", [Announcement(3000, "tcp")]),
        # what is not for a browser
        (
            "Debugger listening on ws://127.0.0.1:9229/166e272e-7a30",
            [Announcement(9229, "ws", "", "debugger")],
        ),
        (
            "DevTools listening on ws://127.0.0.1:38231/devtools/browser/1",
            [Announcement(38231, "ws", "", "debugger")],
        ),
        ("RemotePdb session open at 127.0.0.1:4445", [Announcement(4445, role="debugger")]),
        ("[api] Server running at http://localhost:4000", [helper(4000, "http")]),
        ("API listening on port 4000", [helper(4000)]),
        ("GraphQL ready at http://localhost:4000/graphql", [helper(4000, "http", "/graphql")]),
        ("Server at http://localhost:4001/api/v1", [helper(4001, "http", "/api/v1")]),
        ('{"msg":"admin endpoint started","address":"localhost:2019"}', [helper(2019)]),
        ("LiveReload started on port 35729", [helper(35729)]),
        ("[HPM] Proxy created: /x -> http://localhost:4000", [helper(4000, "http")]),
        ("connected to redis://127.0.0.1:6379", [helper(6379, "redis")]),
        ("WebSocket server on ws://localhost:8081", [helper(8081, "ws")]),
        ("       UI: http://localhost:3001", [helper(3001, "http")]),
        # no announcement
        ("see https://vite.dev:5173/guide/ and http://example.com:80/", []),
        ("$ curl -s http://localhost:3000/api/users", []),
        ('127.0.0.1 - - "GET http://localhost:3000/api HTTP/1.1" 200', []),
        ("Port 5173 is in use, trying another one...", []),
        ("Error: listen EADDRINUSE: address already in use 127.0.0.1:3000", []),
        ("LISTEN 0  511  127.0.0.1:41235  0.0.0.0:*  users:((node,pid=7,fd=20))", []),
        ("tcp   0   0 127.0.0.1:41235   0.0.0.0:*   LISTEN   7/node", []),
        ("node  7 root  20u  IPv4  12  0t0  TCP 127.0.0.1:41235 (LISTEN)", []),
        ("connect ECONNREFUSED 127.0.0.1:5432", []),
        ("http://localhost:99999/ and http://localhost:1/" + "a" * 500, []),
        ("support 3000 users, version 1.3000", []),
    ],
)
def test_announced_urls_are_found_in_output(text: str, found: list[Announcement]) -> None:
    assert list(announced(text)) == found


@given(st.text(alphabet="htpws:/[]0159.localhost porton\n\x1b[m?#{}", max_size=300))
def test_searching_arbitrary_output_never_fails(text: str) -> None:
    assert all(0 <= each.port <= 65535 and each.path != "/" for each in announced(text))


def test_the_first_announced_address_of_an_app_is_used(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Log(path)
    log.update()
    assert log.of(5173) is None
    path.write_bytes(
        b"\xff" * 100_000
        + b"\nproxy -> http://localhost:5173/v1\nport 5173\n"
        + VITE.encode()
        + b"docs: http://localhost:5173/docs http://localhost:99/x/\n"
    )
    log.update()
    assert (log.of(5173), log.of(99), log.of(3000)) == (web(5173, "/app/"), web(99, "/x/"), None)


@given(st.lists(st.integers(1, 40), max_size=30))
def test_a_growing_log_is_read_across_arbitrary_piece_boundaries(sizes: list[int]) -> None:
    text = "starting\nlistening on http://localhost:5173/app/\nLocal: http://localhost:3000/ä/\nrunning on port 80"
    data, at = text.encode(), 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "log")
        log = Log(path)
        with path.open("ab", buffering=0) as file:
            for size in [*sizes, len(data)]:
                file.write(data[at : at + size])
                at += size
                log.update()
        log.update()
        assert [log.of(port) for port in (5173, 3000, 80)] == [
            web(5173, "/app/"),
            web(3000, "/ä/"),
            Announcement(80),
        ]


def test_a_log_that_is_truncated_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("http://localhost:3000/a\n" * 10)
    log = Log(path)
    log.update()
    path.write_text("http://localhost:3001/b\n")
    log.update()
    assert (log.of(3000), log.of(3001)) == (web(3000, "/a"), web(3001, "/b"))


def test_a_tool_s_output_is_about_servers_of_that_time_without_a_log(tmp_path: Path) -> None:
    said = Announcements()
    said.hear("http://localhost:3000/app")
    now = time.monotonic()
    assert said.of(3000, None, now) == web(3000, "/app")
    assert said.of(3000, None, now - 60) is None  # was printed long before: a page of documentation
    assert said.of(3000, tmp_path / "log", now) is None
    said.forget(3000)
    assert said.of(3000, None, now) is None
    said.listen(["port 3000\n"])
    said.listen(["port 3000\nhttp://localhost:3000/x\n"])
    assert said.of(3000, None, now) == web(3000, "/x")
