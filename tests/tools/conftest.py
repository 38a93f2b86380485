"""The workspace and the shell of the engines' own tests, for the tests of the tools over them."""

from tests.files.conftest import lab
from tests.shell.conftest import home, sessions, sh

__all__ = ["home", "lab", "sessions", "sh"]
