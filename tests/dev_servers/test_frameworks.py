"""The servers that people really start: uvicorn, Flask with its reloader, node, and Vite from npm."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import time
from pathlib import Path

import anyio
import pytest

from agent_runtime.system.process_tree import all_processes
from tests.dev_servers.conftest import Launch, Watching
from tests.support.waiting import until_async

pytestmark = pytest.mark.anyio

needs_node = pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")

NODE = """
const server = require("http").createServer((q, a) => { a.writeHead(200); a.end("hi") })
server.listen(0, "127.0.0.1", () => console.log(`ready on http://localhost:${server.address().port}/base/`))
"""
ASGI = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hi"})
"""
FLASK = """
from flask import Flask
app = Flask(__name__)
@app.route("/")
def home(): return "one"
"""


async def test_uvicorn_is_reported_with_its_log(watching: Watching, launch: Launch, tmp_path: Path) -> None:
    pytest.importorskip("uvicorn")
    (tmp_path / "asgi.py").write_text(ASGI)
    async with watching() as scene:
        server = launch(sys.executable, "-m", "uvicorn", "asgi:app", "--port", "0", log=tmp_path / "log")
        up = await scene.event("up", pid=server.pid)
        assert (up.http, up.loopback_only, up.log_file) == (True, True, str(tmp_path / "log"))
        server.send_signal(signal.SIGINT)
        await scene.event("down", port=up.port)


@needs_node
async def test_node_prints_its_base_path(watching: Watching, launch: Launch, tmp_path: Path) -> None:
    async with watching(template="https://{port}-{sandboxId}.example.com", sandbox_id="s1") as scene:
        server = launch("node", "-e", NODE, log=tmp_path / "log")
        port = (await scene.event("up", pid=server.pid)).port
        await until_async(lambda: scene.servers.up()[0].http)  # it prints its URL after it listens
        (up,) = scene.servers.up()
        assert up.url == f"https://{port}-s1.example.com/base/"
        assert up.local_url == f"http://localhost:{port}/base/"
        assert scene.servers.latest() == up


@needs_node
async def test_a_base_path_found_only_by_the_tool_is_returned(watching: Watching, launch: Launch) -> None:
    """The server writes to a terminal or a pipe; its output comes by way of the tool."""
    read, write = os.pipe()
    async with (
        watching() as scene,
        await anyio.open_process(["node", "-e", NODE], stdout=write, stdin=None, stderr=None) as process,
    ):
        os.close(write)
        text = await anyio.to_thread.run_sync(os.read, read, 1000)
        os.close(read)
        scene.servers.hint(text.decode())
        port = (await scene.event("up", pid=process.pid)).port
        await until_async(lambda: scene.servers.up()[0].local_url == f"http://localhost:{port}/base/")
        process.kill()


async def test_flask_reloads_without_an_event(
    watching: Watching, launch: Launch, tmp_path: Path, free_port: int
) -> None:
    pytest.importorskip("flask")
    app = tmp_path / "app.py"
    app.write_text(FLASK)
    async with watching() as scene:
        server = launch(
            sys.executable, "-m", "flask", "run", "--debug", "--port", str(free_port), log=tmp_path / "log"
        )
        up = await scene.event("up", port=free_port)
        (inode,) = scene.servers._servers.up[free_port].now.inodes
        first = await until_async(lambda: _holders(inode) if len(_holders(inode)) == 2 else None)

        def reloaded() -> bool:
            # again, because it may not have looked before
            app.write_text(FLASK.replace("one", f"{time.monotonic()}"))
            return len(now := _holders(inode)) == 2 and now != first

        await until_async(reloaded)
        assert await scene.all_events(launch) == [up]
        assert (up.pid, up.http) == (server.pid, True)


def _holders(inode: int) -> list[int]:
    return [process.pid for process in all_processes().values() if inode in process.sockets]


VITE_CONFIG = """
import { writeFileSync } from "fs"
writeFileSync("loaded-" + process.hrtime.bigint(), "")
export default { base: "/app/", server: { port: Number(process.env.VITE_PORT) } }
"""


@pytest.mark.skipif(not shutil.which("npm"), reason="npm is not installed")
async def test_vite_keeps_its_base_and_restarts_without_an_event(
    watching: Watching, launch: Launch, tmp_path: Path, free_port: int
) -> None:
    package = {"name": "x", "type": "module", "scripts": {"dev": "vite"}, "devDependencies": {"vite": "^6"}}
    (tmp_path / "package.json").write_text(json.dumps(package))
    (tmp_path / "index.html").write_text("<h1>hi</h1>")
    (tmp_path / "vite.config.js").write_text(VITE_CONFIG)
    install = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"]
    done = await anyio.run_process(install, cwd=tmp_path, check=False)
    if re.search(rb"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT", done.stderr):
        pytest.skip("npm's registry cannot be reached")
    assert done.returncode == 0, done.stderr
    async with watching() as scene:
        launch("npm", "run", "dev", log=tmp_path / "log", env={**os.environ, "VITE_PORT": str(free_port)})
        up = await scene.event("up", port=free_port)
        assert (up.url, up.http, up.loopback_only) == (f"http://localhost:{free_port}/app/", True, True)
        loads = len(list(tmp_path.glob("loaded-*")))
        first = scene.servers._servers.up[free_port].now.inodes
        (tmp_path / "vite.config.js").write_text(VITE_CONFIG + "// changed\n")
        await until_async(lambda: len(list(tmp_path.glob("loaded-*"))) > loads)
        await until_async(lambda: scene.servers._servers.up[free_port].now.inodes != first)
        assert await scene.all_events(launch) == [up]
        assert "vite" in (up.command or "")
