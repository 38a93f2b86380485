"""Markdown in texts of the model: blocks, inline markup, and that no text is lost, whatever it is."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest

from tests.page.test_modules import node

Json = dict[str, Any]


def paragraph(text: str) -> Json:
    return {"type": "paragraph", "text": text}


def bullets(*items: list[Json], start: int | None = None) -> Json:
    return {"type": "list", "start": start, "items": list(items)}


BLOCKS: list[tuple[str, list[Json]]] = [
    (
        "# One #\n###### Six",
        [{"type": "heading", "level": level, "text": text} for level, text in ((1, "One"), (6, "Six"))],
    ),
    ("#no heading\n####### none", [paragraph("#no heading\n####### none")]),
    ("a\nb\n\nc", [paragraph("a\nb"), paragraph("c")]),
    (
        "```py\nx = 1\n\n  y\n```\nafter",
        [{"type": "code", "language": "py", "text": "x = 1\n\n  y"}, paragraph("after")],
    ),
    ("~~~\n```\n~~~~", [{"type": "code", "language": "", "text": "```"}]),
    ("```sh\nstill arriving", [{"type": "code", "language": "sh", "text": "still arriving"}]),
    ("  ```\n  a\n    b\n  ```", [{"type": "code", "language": "", "text": "a\n  b"}]),
    ("- a\n- b", [bullets([paragraph("a")], [paragraph("b")])]),
    ("3. a\n4. b", [bullets([paragraph("a")], [paragraph("b")], start=3)]),
    (
        "- a\n  - b\n    - c\n- d",
        [bullets([paragraph("a"), bullets([paragraph("b"), bullets([paragraph("c")])])], [paragraph("d")])],
    ),
    ("- a\n\n  more\n\nafter", [bullets([paragraph("a"), paragraph("more")]), paragraph("after")]),
    (
        "1. a\n   ```\n   x\n   ```\n2. b",
        [bullets([paragraph("a"), {"type": "code", "language": "", "text": "x"}], [paragraph("b")], start=1)],
    ),
    ("text\n- a\ngoes on", [paragraph("text"), bullets([paragraph("a\ngoes on")])]),
    ("- a\n* b", [bullets([paragraph("a")]), bullets([paragraph("b")])]),
    (
        "> a\n> - b\n\nc",
        [{"type": "quote", "blocks": [paragraph("a"), bullets([paragraph("b")])]}, paragraph("c")],
    ),
    ("a\n\n---\n* * *", [paragraph("a"), {"type": "rule"}, {"type": "rule"}]),
    (
        "| a | b \\| c |\n|:-:|--:|\n| `x|y` | |\n| 1 |\n",
        [
            {
                "type": "table",
                "aligns": ["center", "right"],
                "head": ["a", "b | c"],
                "rows": [["`x|y`", ""], ["1"]],
            }
        ],
    ),
    ("a | b\nno table", [paragraph("a | b\nno table")]),
    ("a | b\n---\nc", [paragraph("a | b"), {"type": "rule"}, paragraph("c")]),
    ("", []),
]


def test_blocks() -> None:
    found = node("markdown_model.js", "input.map(m.parseMarkdown)", [text for text, _ in BLOCKS])
    for (text, wanted), blocks in zip(BLOCKS, found, strict=True):
        assert blocks == wanted, text


FLAT = """(function flat(pieces) {
    return pieces.map(({ type, text, address, children }) => {
        const inside = children ? flat(children) : text;
        if (type === "text") return inside;
        return `<${type}${address === undefined ? "" : " " + address}>${inside}</>`;
    }).join("");
})"""
INLINES = [
    ("**a *b* c** and __d__", "<strong>a <em>b</em> c</> and <strong>d</>"),
    ("***a***", "<strong><em>a</></>"),
    ("snake_case_name, 2*3*4, a * b * c", "snake_case_name, 2*3*4, a * b * c"),
    ("~~a~~ ~b~", "<del>a</> ~b~"),
    ("`a*b*c` ``x ` y``", "<code>a*b*c</> <code>x ` y</>"),
    ("`open and ```", "`open and ```"),
    (r"\*a\* \_ \x", r"*a* _ \x"),
    ('[a **b**](https://x.y/z_(1)?q "t")', "<link https://x.y/z_(1)?q>a <strong>b</></>"),
    ("[a](javascript:x) [b](src/a.py)", "<link javascript:x>a</> <link src/a.py>b</>"),
    ("![alt](https://x.y/p.png)", "<image https://x.y/p.png>alt</>"),
    (
        "see https://x.y/z. (http://a.b/c_d_e)",
        "see <link https://x.y/z>https://x.y/z</>. (<link http://a.b/c_d_e>http://a.b/c_d_e</>)",
    ),
    ("<https://x.y> <b>", "<link https://x.y>https://x.y</> <b>"),
    ("[no link] [x](a b)", "[no link] [x](a b)"),
]


def test_inline_markup() -> None:
    found = node(
        "markdown_model.js", f"input.map((text) => {FLAT}(m.inlines(text)))", [text for text, _ in INLINES]
    )
    for (text, wanted), flat in zip(INLINES, found, strict=True):
        assert re.sub(r"</\w+>", "</>", flat) == re.sub(r"</\w+>", "</>", wanted), text


ALL_TEXT = """(function all(value) {
    if (Array.isArray(value)) return value.map(all).join(" ");
    if (typeof value === "string") return m.inlines(value).map(function words(piece) {
        return `${piece.text ?? ""} ${piece.address ?? ""} ${(piece.children ?? []).map(words).join(" ")}`;
    }).join(" ");
    if (value === null || typeof value !== "object") return "";
    if (value.type === "code") return `${value.language} ${value.text}`;
    return ["text", "blocks", "items", "head", "rows"].map((name) => all(value[name])).join(" ");
})"""


def test_no_word_is_lost() -> None:
    rng = random.Random(5)
    marks = [
        "*",
        "**",
        "_",
        "`",
        "```",
        "\n```\n",
        "[",
        "](",
        ")",
        "!",
        "<",
        ">",
        "|",
        "\n|-|-|\n",
        "\n",
        "\n\n",
        "\n- ",
    ]
    marks += [
        "\n  1. ",
        "\n> ",
        "\n# ",
        "\\",
        "~~",
        "---",
        "\n---\n",
        "    ",
        "\t",
        "https://",
        "\r\n",
        "é",
        "\u2028",
        " ",
    ]
    texts = []
    for _ in range(1500):
        pieces = [rng.choice([*marks, f" w{number} "]) for number in range(rng.randint(1, 40))]
        texts.append("".join(pieces))
    found = node("markdown_model.js", f"input.map((text) => {ALL_TEXT}(m.parseMarkdown(text)))", texts)
    for text, rendered in zip(texts, found, strict=True):
        # not those in the title of a link, or after the language of a block of code
        words = re.findall(r"w\d+", re.sub(r"[`~]{3,}[^\n]*|\"[^\"]*\"", "", text))
        assert set(words) <= set(re.findall(r"w\d+", rendered)), text


@pytest.mark.parametrize(
    "unit",
    [
        "**a ",
        "*a",
        "_a ",
        "`a",
        "[",
        "[a](",
        "![",
        "~~a",
        "<https://",
        "> ",
        "- ",
        "|a",
        "\\",
        "  - a\n",
        "a\n> ",
        "`" * 3 + "a ",
        "((",
        "https://a(",
    ],
)
def test_hostile_texts_take_no_time(unit: str) -> None:
    text = unit * (12_000 // len(unit))
    took = node(
        "markdown_model.js",
        f"((at) => [{ALL_TEXT}(m.parseMarkdown(input)).length, process.cpuUsage(at).user])(process.cpuUsage())",
        text,
    )[1]
    assert took < 2_000_000, (unit, took)  # microseconds
