"""The formats of the model APIs, for tests that are run in each."""

from __future__ import annotations

from typing import get_args

import pytest

from agent_runtime.protocol.messages import WireFormat

FORMATS: tuple[WireFormat, ...] = get_args(WireFormat)
formats = pytest.mark.parametrize("format", FORMATS)
