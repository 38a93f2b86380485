"""Leaves invalid tools out of a server's lists of tools, which the MCP library would refuse as a whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

from mcp.client._transport import ReadStream, Transport, TransportStreams
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCResponse
from mcp_types.methods import validate_server_result
from mcp_types.version import LATEST_MODERN_VERSION
from pydantic import ValidationError

_METHOD = "tools/list"
_MAX_REASONS = 20

Incoming = SessionMessage | Exception


class ToolLists:
    """Filters the messages of one server.

    Attributes:
        refused: why tools were left out, by their names.
    """

    def __init__(self) -> None:
        self.refused: dict[str, str] = {}
        self._version = LATEST_MODERN_VERSION  # of the protocol; earlier ones begin with `initialize`

    @asynccontextmanager
    async def filtered(self, transport: Transport) -> AsyncIterator[TransportStreams]:
        """Open a transport whose incoming lists of tools have valid tools only."""
        async with transport as (received, sent):
            yield _Filtered(received, self), sent

    def filter(self, item: Incoming) -> None:
        """Remove the invalid tools from a message, if it is a list of tools."""
        message = item.message if isinstance(item, SessionMessage) else None
        if not isinstance(message, JSONRPCResponse):
            return
        result = message.result
        if isinstance(version := result.get("protocolVersion"), str):
            self._version = version
        tools = result.get("tools")
        if isinstance(tools, list) and "content" not in result and self._problem(result, tools):
            result["tools"] = [tool for tool in tools if not self._refuse(result, tool)]

    def _refuse(self, result: dict[str, Any], tool: Any) -> bool:
        problem = self._problem(result, [tool])
        if problem and len(self.refused) < _MAX_REASONS:
            name = tool.get("name") if isinstance(tool, dict) else None
            named = name[:200] if isinstance(name, str) and name else f"tool {len(self.refused) + 1}"
            self.refused[named] = f"not valid MCP: {problem}"
        return bool(problem)

    def _problem(self, result: dict[str, Any], tools: list[Any]) -> str:
        """Return what is wrong with the tools; empty when the tools are valid, even if something else is not."""
        try:
            validate_server_result(_METHOD, self._version, result | {"tools": tools})
        except ValidationError as error:
            for problem in error.errors(include_url=False, include_input=False):
                place = [str(part) for part in problem["loc"] if part != "tools"]
                if "tools" in problem["loc"]:
                    return f"{'.'.join(place[1:]) or 'the tool'}: {problem['msg']}"
        except (ValueError, KeyError):  # an unknown version, which the session refuses
            pass
        return ""


class _Filtered:
    """A stream of incoming messages that have gone through `ToolLists.filter`."""

    def __init__(self, inner: ReadStream[Incoming], lists: ToolLists) -> None:
        self._inner, self._lists = inner, lists

    @property
    def last_context(self) -> Any:
        """The context of the sender of the last message, where the transport has one."""
        return getattr(self._inner, "last_context", None)

    async def receive(self) -> Incoming:
        item = await self._inner.receive()
        self._lists.filter(item)
        return item

    async def aclose(self) -> None:
        await self._inner.aclose()

    def __aiter__(self) -> ReadStream[Incoming]:
        return self

    async def __anext__(self) -> Incoming:
        item = await self._inner.__anext__()
        self._lists.filter(item)
        return item

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> bool | None:
        return await self._inner.__aexit__(exc_type, exc_val, exc_tb)
