"""The edit tests' workspace, for the tests of search."""

from tests.files.conftest import lab

__all__ = ["lab"]
