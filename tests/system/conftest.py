"""The shell fixtures, for the tests of what the shell is built on."""

from tests.shell.conftest import home, patient, sessions, sh

__all__ = ["home", "patient", "sessions", "sh"]
