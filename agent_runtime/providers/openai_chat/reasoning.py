"""The Chat Completions format: extensions that providers stream in pieces and expect back whole."""

from __future__ import annotations

from typing import Any

from agent_runtime.providers.wire_parts import objects, text_of

Part = dict[str, Any]


def thinking_part(part: Part) -> Part:
    """A content part that holds reasoning (Mistral), its text always as a list of parts."""
    inner = part.get("thinking")
    return part | {
        "thinking": [{"type": "text", "text": inner}] if isinstance(inner, str) else objects(inner)
    }


def thinking_text(part: Part) -> str:
    """The text of such a part."""
    return "".join(text_of(inner.get("text")) for inner in part["thinking"])


def add_part(parts: list[Part], part: Part) -> None:
    """Add a content part. It continues the one before it if both are text, or both are reasoning."""
    last = parts[-1] if parts else {}
    if part.get("type") == last.get("type") == "text":
        last["text"] = text_of(last.get("text")) + text_of(part.get("text"))
    elif part.get("type") == last.get("type") == "thinking":
        for inner in part["thinking"]:
            add_part(last["thinking"], inner)
        last |= {name: value for name, value in part.items() if name != "thinking"}
    elif part.get("type") == "thinking":
        parts.append(part | {"thinking": []})
        add_part(parts, part)
    else:
        parts.append(dict(part))


def add_detail(details: list[Part], detail: Part) -> None:
    """Add a piece of a reasoning detail (OpenRouter) to the one of the same index and type."""
    key = (detail.get("index"), detail.get("type"))
    known = next((d for d in details if (d.get("index"), d.get("type")) == key and key[0] is not None), None)
    if known is None:
        details.append(dict(detail))
        return
    for name, value in detail.items():
        if name in ("text", "summary", "data") and isinstance(value, str):
            known[name] = text_of(known.get(name)) + value
        elif value is not None:
            known[name] = value


def add_block(blocks: list[Part], block: Part) -> None:
    """Add a piece of a signed thinking block (LiteLLM, for Anthropic) to the last block, unless that is signed."""
    last = blocks[-1] if blocks else {}
    if block.get("type") == last.get("type") == "thinking" and not last.get("signature"):
        last["thinking"] = text_of(last.get("thinking")) + text_of(block.get("thinking"))
        last["signature"] = block.get("signature") or last.get("signature")
    else:
        blocks.append(dict(block))
