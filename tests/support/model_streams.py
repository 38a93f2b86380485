"""See agent_runtime.testing.model_streams."""

from agent_runtime.testing.model_streams import Call, Fault, Json, Turn, WireFormat, cut, events, seal

__all__ = ["Call", "Fault", "Json", "Turn", "WireFormat", "cut", "events", "seal"]
