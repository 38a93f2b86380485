"""See agent_runtime.testing.model_server."""

from agent_runtime.testing.model_server import Call, Fault, ModelServer, Request, Scripted, Turn, seal

__all__ = ["Call", "Fault", "ModelServer", "Request", "Scripted", "Turn", "seal"]
