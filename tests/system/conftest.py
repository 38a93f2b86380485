"""The shell fixtures, for the tests of what the shell is built on."""

from tests.shell.conftest import home, limits, patient, sessions, sh

__all__ = ["home", "limits", "patient", "sessions", "sh"]
