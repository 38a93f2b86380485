"""The npm client of the tests."""

from __future__ import annotations

# what it says when the registry cannot be reached, or does not answer
UNREACHABLE = (
    "ENOTFOUND|EAI_AGAIN|ECONN|ETIMEDOUT|SOCKET_TIMEOUT|UNREACH|EPIPE|code E(429|5[0-9][0-9])|network"
)
