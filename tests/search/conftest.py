"""The edit tests' workspace, for the tests of search."""

from tests.files.conftest import editor

__all__ = ["editor"]
