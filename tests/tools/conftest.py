"""The workspace and the shell of the engines' own tests, for the tests of the tools over them."""

from tests.files.conftest import editor
from tests.shell.conftest import home, limits, patient, sessions, sh

__all__ = ["editor", "home", "limits", "patient", "sessions", "sh"]
