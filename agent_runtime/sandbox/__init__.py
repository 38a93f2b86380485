"""The hands inside the sandbox: processes, shells, sessions, files."""
