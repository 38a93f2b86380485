"""The servers of other agents, for benchmarks/server_peers.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

from agent_servers import AgentServer, OwnServer
from websockets.asyncio.client import connect


class OpenCode(AgentServer):
    """`opencode serve`; the program is the path of opencode."""

    name, ready_path = "opencode", "/session"
    _session = ""

    def _start(self) -> subprocess.Popen[bytes]:
        options = {"baseURL": f"{self.model}/v1", "apiKey": "sk-loopback"}
        model = "anthropic/claude-sonnet-4-5"
        config = {"provider": {"anthropic": {"options": options}}, "model": model, "small_model": model}
        places = {
            f"XDG_{kind}_HOME": str(self.folder / kind) for kind in ("DATA", "CONFIG", "STATE", "CACHE")
        }
        settings = {"OPENCODE_CONFIG_CONTENT": json.dumps(config), "OPENCODE_DISABLE_MODELS_FETCH": "1"}
        return subprocess.Popen(
            [self.program, "serve", "--port", str(self.port), "--pure"],
            cwd=self.folder,
            env=os.environ
            | places
            | settings
            | {"HOME": str(self.folder), "OPENCODE_DISABLE_AUTOUPDATE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    async def prepare(self, *, answers: bool) -> None:
        """Create the session."""
        self._session = self._session or (await self.client.post("/session", json={})).json()["id"]

    async def send(self) -> None:
        """Send a message to the session."""
        body = {"parts": [{"type": "text", "text": "go"}]}
        (await self.client.post(f"/session/{self._session}/prompt_async", json=body)).raise_for_status()

    async def follow(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the events of the session; the server sends those of all sessions."""
        async for event in self._sse("/event"):
            if event["type"] == "server.connected":
                yield {}
            elif event["properties"].get("sessionID") == self._session:
                yield event

    def is_last(self, event: dict[str, Any]) -> bool:
        """See AgentServer."""
        return bool(event["type"] == "session.idle")


class OpenHands(AgentServer):
    """OpenHands' agent-server; the program is a Python that has `openhands-agent-server`."""

    name, ready_path = "openhands", "/health"
    most_followers = 45  # of one conversation; it refuses more than 50
    _conversation = ""

    def _start(self) -> subprocess.Popen[bytes]:
        settings = {
            "OPENHANDS_SUPPRESS_BANNER": "1",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "OH_ENABLE_VSCODE": "0",
        }
        return subprocess.Popen(
            [self.program, "-m", "openhands.agent_server", "--host", "127.0.0.1", "--port", str(self.port)],
            cwd=self.folder,
            env=os.environ | settings | {"OH_SECRET_KEY": "x" * 32, "HOME": str(self.folder)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    async def prepare(self, *, answers: bool) -> None:
        """Create the conversation."""
        if self._conversation:
            return
        llm = {
            "model": "openai/gpt-4o",
            "api_key": "sk-loopback",
            "base_url": f"{self.model}/v1",
            "usage_id": "a",
        }
        body = {
            "agent": {"kind": "Agent", "llm": llm, "tools": []},
            "workspace": {"kind": "LocalWorkspace", "working_dir": str(self.folder)},
        }
        self._conversation = (await self.client.post("/api/conversations", json=body)).json()["id"]

    async def send(self) -> None:
        """Send a message to the conversation."""
        content = [{"type": "text", "text": "go"}]
        path, body = f"/api/conversations/{self._conversation}/events", {"role": "user", "content": content}
        (await self.client.post(path, json=body | {"run": True})).raise_for_status()

    async def follow(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the events of the conversation; its state comes first."""
        address = f"ws://127.0.0.1:{self.port}/sockets/events/{self._conversation}"
        async with connect(address, max_size=None) as socket:
            await socket.recv()
            yield {}
            async for message in socket:
                yield json.loads(message)

    def is_last(self, event: dict[str, Any]) -> bool:
        """See AgentServer."""
        return event.get("key") == "execution_status" and event.get("value") in ("finished", "error")


SERVERS: dict[str, type[AgentServer]] = {each.name: each for each in (OwnServer, OpenCode, OpenHands)}
OWN = (OwnServer.name, sys.executable)
