"""The HTTP API of `agent-runtime serve`. Runs are child processes; their event streams are files."""
