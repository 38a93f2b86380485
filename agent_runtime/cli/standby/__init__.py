"""Warm start: the standby server, which forks a process per run, and its client."""
