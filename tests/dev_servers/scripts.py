"""Pieces of Python programs that listen, and a shell command that waits for one."""

from __future__ import annotations

LISTEN = """
import socket, sys, time
s = socket.create_server(("0.0.0.0", int(sys.argv[1]) if len(sys.argv) > 1 else 0), backlog=50)
"""
STAY = "\nimport signal\nsignal.alarm(180); signal.pause()\n"  # ends by itself when the test cannot end it
UNTIL_GO = "\nimport os, time\nwhile not os.path.exists('go'): time.sleep(0.01)\n"
ANSWER = """
import threading
def answer():
    while True:
        c, _ = s.accept()
        c.recv(1000); c.sendall(b"HTTP/1.0 204 No Content\\r\\n\\r\\n"); c.close()
threading.Thread(target=answer, daemon=True).start()
"""


def until_open(port: int) -> str:
    """A command that waits until something listens on a port of this machine."""
    return f"until (echo > /dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 0.05; done"
