"""Agent for Inspect: runs agent-runtime in the sandbox of a sample, with the model of the evaluation.

    from inspect_ai import Task, eval
    from inspect_agent import agent_runtime

    eval(Task(dataset=..., solver=agent_runtime(), scorer=..., sandbox="docker"), model="anthropic/claude-sonnet-5-5")

The program `agent-runtime` has to be installed in the sandbox. Its model calls go through Inspect, which logs them and
counts their tokens; no key is in the sandbox.
"""

from __future__ import annotations

import json
from typing import Any

from inspect_ai.agent import Agent, AgentState, agent, sandbox_agent_bridge
from inspect_ai.model import ChatMessage, ModelOutput
from inspect_ai.util import sandbox

LIMIT = 3  # the exit status of a run that a limit has ended: it is scored as it is
# The output of a command is limited in Inspect, that of a run is not: only the last event is returned.
RUN = 'log=$(mktemp); "$@" > "$log"; status=$?; tail -n 1 "$log"; rm -f "$log"; exit $status'


@agent
def agent_runtime(
    *,
    program: str = "agent-runtime",
    workspace: str | None = None,
    config: dict[str, Any] | None = None,
    port: int = 13131,
) -> Agent:
    """Return the agent.

    Args:
        program: the path of the program in the sandbox.
        workspace: the folder that it works in; by default the working directory of the sandbox.
        config: the `config` of the requests: `maxTurns`, `effort`, `timeout` and so on.
        port: of the model proxy in the sandbox. Samples that share a network, as those of the local sandbox do, need
            different ones, or `max_samples=1`.
    """

    async def execute(state: AgentState) -> AgentState:
        async with sandbox_agent_bridge(state, model="inspect", port=port) as bridge:
            request = {
                "messages": [_message(message) for message in state.messages],
                "model": "anthropic:inspect",
                "config": config or {},
            }
            if workspace:
                request["workspace"] = workspace
            result = await sandbox().exec(
                ["sh", "-c", RUN, "sh", program, "run", "--format", "ndjson"],
                input=json.dumps(request) + "\n",
                env={"ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}", "ANTHROPIC_API_KEY": "inspect"},
            )
            if result.returncode not in (0, LIMIT):
                raise RuntimeError(f"the run has failed: {result.stdout[-2000:]} {result.stderr[-2000:]}")
            answer = json.loads(result.stdout)["output"]
            bridge.state.output = ModelOutput.from_content("inspect", answer)
            return bridge.state

    return execute


def _message(message: ChatMessage) -> dict[str, Any]:
    if message.role not in ("system", "user", "assistant"):
        raise ValueError(f"expected messages of the system, the user or the assistant, got {message.role}")
    return {"role": message.role, "content": message.text}
