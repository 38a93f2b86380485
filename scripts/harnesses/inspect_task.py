"""Evaluates the agent of the example with a scripted model: what it wrote is scored, what it said is the answer."""

from __future__ import annotations

import json
import sys

from inspect_agent import agent_runtime
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, get_model
from inspect_ai.scorer import includes


def main(program: str, workspace: str, logs: str) -> None:
    outputs = [
        ModelOutput.for_tool_call(
            "mockllm/model", "bash", {"command": "echo 42 > answer.txt; cat answer.txt"}
        ),
        ModelOutput.from_content("mockllm/model", "The answer is 42."),
    ]
    task = Task(
        dataset=[Sample(input="Write the answer into answer.txt.", target="42")],
        solver=agent_runtime(program=program, workspace=workspace),
        scorer=includes(),
        sandbox="local",
    )
    [log] = eval(task, model=get_model("mockllm/model", custom_outputs=outputs), log_dir=logs, display="none")
    sample = log.samples[0] if log.samples else None
    found = {
        "status": log.status,
        "error": str(log.error or (sample and sample.error)),
        "answer": sample and sample.output.completion,
        "score": sample and sample.scores and next(iter(sample.scores.values())).value,
        "messages": sample and [(message.role, message.text) for message in sample.messages],
    }
    print("RESULT", json.dumps(found))


main(*sys.argv[1:])
