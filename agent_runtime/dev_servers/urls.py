"""The URLs of a port: what the public template makes of it, and the base path that its server prints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Formatter

from agent_runtime.errors import RequestError

_FIELDS = {"port", "sandboxId"}
_LOG_TAIL = 64 << 10  # bytes at the end of a log that are looked through
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")  # CSI and OSC sequences
_URL = (
    r"\b(https?)://(?:[\w-]+\.)*(?:localhost|(?:\d{1,3}\.){3}\d{1,3}|\[[0-9a-fA-F:.]+\]|%s)"
    r"(?::(\d{1,5}))?(/[^\s?#\"'<>`()\[\]{}|\\,;*]*)?"
)
# a request that is logged or typed is no announcement of a base path
_REQUEST = re.compile(r"\b(?:curl|wget|fetch|GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)\b[^:]*$")
_BEFORE = 200  # characters before a URL that are looked at


def check_template(template: str) -> None:
    """Raise RequestError unless it is http or https, has `{port}`, and else no field but `{sandboxId}`."""
    expected = f"an http(s) URL with {{port}} and optionally {{sandboxId}}, not {template!r}"
    try:
        fields = [field[1:] for field in Formatter().parse(template) if field[1] is not None]
    except ValueError:
        raise RequestError("devUrl", expected) from None
    known = all(name in _FIELDS and not spec and not conversion for name, spec, conversion in fields)
    if (
        not known
        or "port" not in {name for name, _, _ in fields}
        or not re.fullmatch(r"https?://[^\s?#]+", template)
    ):
        raise RequestError("devUrl", expected)


@dataclass(frozen=True)
class Template:
    """How a port is reached from outside: `text` is what `check_template` takes, None for http://localhost:{port}."""

    text: str | None = None
    sandbox_id: str | None = None

    def url(self, port: int, *, scheme: str = "http", path: str = "") -> str:
        """The public address; the local one where there is no template, or not the id that it asks for."""
        if self.text is None or ("{sandboxId}" in self.text and not self.sandbox_id):
            return f"{scheme}://localhost:{port}{path}"
        base = self.text.replace("{port}", str(port)).replace("{sandboxId}", self.sandbox_id or "")
        return base.rstrip("/") + path if path else base


def local_url(host: str, port: int, *, scheme: str = "http", path: str = "") -> str:
    """The address of a port inside the sandbox: `localhost` where that leads there, else a literal one."""
    name = "localhost" if host == "127.0.0.1" else f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}:{port}{path}"


def announced(text: str) -> Iterator[tuple[int, str]]:
    """Port and base path ("" for the root) of each URL of this machine in a server's output, in order."""
    from os import uname

    plain = _ANSI.sub("", text)
    for found in re.finditer(_URL % re.escape(uname().nodename), plain):
        before = plain[max(0, found.start() - _BEFORE) : found.start()].rpartition("\n")[2]
        if not _REQUEST.search(before):
            scheme, port, path = found.groups()
            root = not path or path.rstrip(".:!") == "/"
            yield int(port or (443 if scheme == "https" else 80)), "" if root else path.rstrip(".:!")


def base_path(log: Path, port: int) -> str | None:
    """The base path that a log announces for a port; None when it announces none (yet)."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LOG_TAIL))
            text = file.read(_LOG_TAIL).decode(errors="replace")
    except OSError:
        return None
    return next((path for number, path in announced(text) if number == port), None)
