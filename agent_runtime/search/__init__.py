"""Searching file contents and file names, with ripgrep or in Python."""
