"""Agent for Harbor: installs agent-runtime in the environment of a task, and runs it there.

    PYTHONPATH=examples harbor run -p TASKS -a harbor_agent:AgentRuntime -m anthropic/claude-sonnet-5-5 \\
      --ak wheel=dist/agent_runtime-0.1.0-py3-none-any.whl --ae ANTHROPIC_API_KEY=...

Options (`--ak NAME=VALUE`): `wheel`, a file of this machine that is installed in place of the published package;
`effort`, `max_turns`, `max_cost`. Variables of the model's provider (`ANTHROPIC_API_KEY`, `OPENAI_BASE_URL`, ...) are
taken from `--ae` and from the environment of Harbor. The logs of a trial hold the events, the transcript and the
trajectory.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from harbor.agents.capabilities import AgentCapabilities
from harbor.agents.installed.base import BaseInstalledAgent, with_prompt_template
from harbor.environments.base import BaseEnvironment
from harbor.models.agent.context import AgentContext

HOME = "$HOME/.agent-runtime"
PROGRAM = f'"{HOME}/bin/agent-runtime"'
# An image whose Python is too old gets one from uv; PACKAGE may have a version or be a file.
INSTALL = """
set -eu
if python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  python3 -m venv "{home}"
  "{home}/bin/python" -m pip install -q {package}
else
  python3 -m venv "{home}-uv"
  "{home}-uv/bin/python" -m pip install -q uv
  "{home}-uv/bin/uv" venv -q --python 3.12 "{home}"
  "{home}-uv/bin/uv" pip install -q --python "{home}/bin/python" {package}
fi
"""
# 3: a limit has ended the run, and the task is checked as it is
RUN = """
status=0
{program} run --format ndjson --request {logs}/request.json --record {logs}/transcript.ndjson \\
  > {logs}/events.ndjson 2> {logs}/agent-runtime.log < /dev/null || status=$?
{program} export {logs}/transcript.ndjson --format atif -o {logs}/trajectory.json 2>> {logs}/agent-runtime.log || true
if [ "$status" != 0 ] && [ "$status" != 3 ]; then
  tail -n 1 {logs}/events.ndjson; tail -n 20 {logs}/agent-runtime.log >&2; exit "$status"
fi
"""


class AgentRuntime(BaseInstalledAgent):
    """Runs `agent-runtime run` for the instruction of a task, in the folder where the environment starts programs."""

    capabilities = AgentCapabilities(atif=True)

    def __init__(
        self,
        logs_dir: Path,
        *args: Any,
        wheel: str | None = None,
        effort: str | None = None,
        max_turns: int | None = None,
        max_cost: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(logs_dir, *args, **kwargs)
        self._wheel = Path(wheel) if wheel else None
        limits = {"effort": effort, "maxTurns": max_turns, "maxCost": max_cost}
        self._limits = {name: value for name, value in limits.items() if value is not None}

    @staticmethod
    def name() -> str:
        """Return the name of the agent."""
        return "agent-runtime"

    def get_version_command(self) -> str | None:
        """Return the command that prints the version."""
        return f"{PROGRAM} --version"

    def parse_version(self, stdout: str) -> str:
        """Return the version from the output of that command."""
        return stdout.strip().removeprefix("agent-runtime ")

    async def install(self, environment: BaseEnvironment) -> None:
        """Install the package in a virtual environment of its own. Raises RuntimeError."""
        await self.ensure_system_dependencies(environment, ("python3", "git"))
        if (await environment.exec("python3 -c 'import ensurepip, venv'")).return_code != 0:
            await self.ensure_system_dependencies(environment, ("python_venv",))
        package = f"agent-runtime=={self._version}" if self._version else "agent-runtime"
        if self._wheel:
            package = f"/installed-agent/{self._wheel.name}"
            await environment.upload_file(self._wheel, package)
        await self.exec_as_agent(environment, command=INSTALL.format(home=HOME, package=shlex.quote(package)))

    @with_prompt_template
    async def run(self, instruction: str, environment: BaseEnvironment, context: AgentContext) -> None:
        """Run the agent. Raises NonZeroAgentExitCodeError when the run has failed."""
        if not self.model_name:
            raise ValueError("expected a model: -m provider/name")
        provider, _, model = self.model_name.partition("/")
        request: dict[str, Any] = {
            "prompt": instruction,
            "model": f"{provider}:{model}" if model else provider,
            "config": self._limits,
            "mcpServers": {server.name: _server(server) for server in self.mcp_servers},
        }
        if self.skills_dir:
            request["skillsDir"] = self.skills_dir
        local = self.logs_dir / "request.json"
        local.write_text(json.dumps(request), "utf-8")
        logs = self.environment_logs_dir
        await environment.upload_file(local, f"{logs}/request.json")
        command = RUN.format(program=PROGRAM, logs=shlex.quote(str(logs)))
        await self.exec_as_agent(environment, command=command, env=self._variables(provider))

    def populate_context_post_run(self, context: AgentContext) -> None:
        """Fill in tokens and cost, from the last event of the run."""
        path = self.logs_dir / "events.ndjson"
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        last = json.loads(lines[-1]) if lines else {}
        if last.get("type") != "complete":
            return  # the run was killed
        usage = last["usage"]
        context.n_input_tokens = usage["inputTokens"]
        context.n_cache_tokens = usage["cachedInputTokens"]
        context.n_output_tokens = usage["outputTokens"]
        context.cost_usd = usage["costUsd"]
        context.metadata = {name: last[name] for name in ("status", "stopReason", "iterations", "runId")}

    def _variables(self, provider: str) -> dict[str, str]:
        prefixes = {provider.upper().replace("-", "_"), provider.split("-")[0].upper()}
        names = [f"{prefix}_{name}" for prefix in prefixes for name in ("API_KEY", "BASE_URL", "AUTH_TOKEN")]
        return {name: value for name in names if (value := self._get_env(name))}


def _server(server: Any) -> dict[str, Any]:
    """An MCP server of the task in the form of a request."""
    if server.transport == "stdio":
        return {"command": server.command, "args": list(server.args)}
    if server.transport == "sse":
        raise ValueError(f"expected an MCP server with stdio or streamable HTTP: {server.name}")
    return {"type": "http", "url": server.url, "headers": dict(server.headers)}
