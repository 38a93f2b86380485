"""Light models do what pydantic does: the same values are accepted, with the same results and the same errors."""

from __future__ import annotations

import json
import random
import string
import subprocess
import sys
from pathlib import Path

import pydantic.alias_generators
import pytest

from agent_runtime.models.names import to_camel
from agent_runtime.tools.update_plan import PlanParams

from . import probe

REPO = Path(__file__).parents[2]


def light(program: str) -> str:
    """What a program prints that starts with light models."""
    start = "from agent_runtime.models import use_light_models\nuse_light_models()\n"
    done = subprocess.run(
        [sys.executable, "-c", start + program], capture_output=True, text=True, cwd=REPO, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_value_has_the_same_outcome() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.models.probe"],
        capture_output=True,
        text=True,
        cwd=REPO,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = [(case, outcome) for case, outcome in json.loads(done.stdout)]
    wanted = list(probe.outcomes())
    assert len(found) == len(wanted) > 5000
    differ = [(ours, theirs) for ours, theirs in zip(found, wanted, strict=True) if ours != theirs]
    assert differ == []


@pytest.mark.parametrize(
    "made",
    [
        "protocol.request:Request(prompt='go', env={'A': 'b'}, mcp_servers={'s': {'command': 'c'}})",
        "protocol.request:Request(prompt='go', model=['a:b', {'provider': 'custom', 'name': 'm'}])",
        "protocol.request:Request(prompt='go', config={'max_turns': 3, 'timeout': 5, 'temperature': 0})",
        "protocol.messages:UserMessage.of('é')",
        "protocol.events:NoticeEvent(code='frozen', message='m', details={'a': [1, 1.5, None, {}]})",
        "tools.bash:BashParams.model_validate({'command': 'true', 'timeout': 5})",
        "tools.edit_file:EditParams.model_validate({'file_path': 'a', 'old_str': 'b', 'new_str': ''})",
    ],
)
def test_what_is_certainly_valid_does_not_import_pydantic(made: str) -> None:
    module, _, expression = made.partition(":")
    program = f"""
import sys
from agent_runtime.{module} import *
{expression}.model_dump(mode="json", by_alias=True)
print("pydantic" in sys.modules)
"""
    assert light(program) == "False\n"


def test_pydantic_takes_light_models_in_types_and_schemas() -> None:
    program = """
import json
from pydantic import TypeAdapter
from agent_runtime.protocol.messages import Message, Text, UserMessage
from agent_runtime.tools.update_plan import PlanParams
adapter = TypeAdapter(list[Message])
[made] = adapter.validate_json('[{"role": "user", "blocks": [{"type": "text", "text": "a"}]}]')
assert type(made) is UserMessage and made == UserMessage.of("a") and hash(made) == hash(UserMessage.of("a"))
assert made == UserMessage.model_validate_json(made.model_dump_json())
print(json.dumps([json.loads(adapter.dump_json([made])), PlanParams.model_json_schema()]))
"""
    dumped, schema = json.loads(light(program))
    assert dumped == [{"role": "user", "blocks": [{"type": "text", "text": "a"}]}]
    assert schema == PlanParams.model_json_schema()


def test_a_model_that_uses_pydantic_itself_is_left_to_pydantic() -> None:
    program = """
import pydantic
from typing import Annotated
from agent_runtime.models.base import Field
from agent_runtime.agent.tool import Params
class Own(Params):
    count: int = pydantic.Field(3, gt=2)
    names: Annotated[list[str], pydantic.Field(min_length=1)] = Field(description="names")
    @pydantic.field_validator("names")
    @classmethod
    def _upper(cls, names: list[str]) -> list[str]:
        return [name.upper() for name in names]
print(Own.model_validate({"names": ["a"]}).model_dump())
for wrong in ({"names": []}, {"names": ["a"], "count": 2}):
    try:
        Own.model_validate(wrong)
    except pydantic.ValidationError as error:
        print(error.errors()[0]["type"])
"""
    assert light(program).splitlines() == [
        "{'count': 3, 'names': ['A']}",
        "too_short",
        "greater_than",
    ]


def test_a_light_model_cannot_be_changed() -> None:
    program = """
from agent_runtime.protocol.messages import Text
try:
    Text(text="a").text = "b"
except TypeError as error:
    print(error)
"""
    assert light(program) == "Text is immutable: text cannot be set\n"


def test_names_are_those_of_pydantic() -> None:
    pick = random.Random(1)
    names = [
        "",
        "_a",
        "a_b",
        "a_1b",
        "a1_b",
        "aB_c",
        "A_b",
        "maxTurns",
        "a__b",
        "é_b",
        "a_",
        "max_2x",
        "a b_c",
    ]
    names += ["".join(pick.choices(string.ascii_letters + "__12", k=8)) for _ in range(2000)]
    assert [to_camel(name) for name in names] == [pydantic.alias_generators.to_camel(name) for name in names]
