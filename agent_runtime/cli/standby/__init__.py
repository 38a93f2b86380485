"""Warm start: the standby process that forks a process per run, and its client."""
