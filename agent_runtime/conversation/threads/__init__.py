"""Threads: conversations that are stored in SQLite and continued by later runs."""
