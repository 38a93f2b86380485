"""The URLs of a port: the public one, from a template, and the local one."""

from __future__ import annotations

import re
from string import Formatter

from agent_runtime.errors import RequestError
from agent_runtime.lazy import dataclass

_FIELDS = {"port", "sandboxId"}


def check_template(template: str) -> None:
    """Check a template: http or https, with `{port}` and no other field but `{sandboxId}`. Raises RequestError."""
    expected = f"expected an http(s) URL with {{port}} and optionally {{sandboxId}}, got {template!r}"
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
    """The template of public URLs.

    Args:
        text: see `check_template`; None for http://localhost:{port}.
        sandbox_id: what `{sandboxId}` stands for.
    """

    text: str | None = None
    sandbox_id: str | None = None

    def url(self, port: int, *, scheme: str = "http", path: str = "") -> str:
        """The public address; the local one where there is no template, or no sandbox id for one that has the field."""
        if self.text is None or ("{sandboxId}" in self.text and not self.sandbox_id):
            return f"{scheme}://localhost:{port}{path}"
        base = self.text.replace("{port}", str(port)).replace("{sandboxId}", self.sandbox_id or "")
        return base.rstrip("/") + path if path else base


def local_url(host: str, port: int, *, scheme: str = "http", path: str = "") -> str:
    """The address of a port inside the sandbox: `localhost` for 127.0.0.1, otherwise the literal host."""
    name = "localhost" if host == "127.0.0.1" else f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}:{port}{path}"
