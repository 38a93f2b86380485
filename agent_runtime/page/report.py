"""The report of a run: one HTML file that needs no server."""

from __future__ import annotations

import html
import json

from agent_runtime.page.assets import STYLES, asset, script, source_hash
from agent_runtime.page.plain_text import plain_text
from agent_runtime.page.run_data import run_data
from agent_runtime.protocol.messages import clean_text
from agent_runtime.transcripts.reader import Transcript

_ESCAPES = {
    ord("<"): "\\u003c",
    ord(">"): "\\u003e",
    ord("&"): "\\u0026",
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}


def render(transcript: Transcript) -> str:
    """Return the page.

    Nothing of the run is markup: it is JSON, in which no `<` occurs, and the script inserts it as text. The policy of
    the page allows its own script and style only, and no connection.
    """
    data = run_data(transcript)
    code, style = script("report.js"), "\n".join(map(asset, STYLES))
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {source_hash(code)}",
            f"style-src {source_hash(style)}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
        ]
    )
    return clean_text(
        "<!doctype html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(data['runId'])}</title>\n<style>{style}</style>\n</head>\n<body>\n<main>"
        f"<noscript><pre>{html.escape(plain_text(data))}</pre></noscript></main>\n"
        f'<script type="application/json" id="run">{in_script(data)}</script>\n'
        f'<script type="module">{code}</script>\n</body>\n</html>\n'
    )


def in_script(value: object) -> str:
    """Return JSON that can stand in a `script` element, whatever its texts contain."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(_ESCAPES)
