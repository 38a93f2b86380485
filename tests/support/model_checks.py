"""See agent_runtime.testing.model_checks."""

from agent_runtime.testing.model_checks import violations

__all__ = ["violations"]
