"""What command lines say about ports."""

from __future__ import annotations

import shlex
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_runtime.dev_servers.programs import Protocol, names_port, protocol, serves_pages, usual


@pytest.mark.parametrize(
    ("command", "port", "expected"),
    [
        ("python3 -m http.server 8000", 8000, "http"),
        ("/usr/bin/python3 -u -W ignore -m http.server", 8000, "http"),
        ("python -m uvicorn app:app --reload", 8000, "http"),
        ("/venv/bin/python /venv/bin/uvicorn app:app --ssl-keyfile k --ssl-certfile c", 8000, "https"),
        ("/venv/bin/python3.12 /venv/bin/flask run", 5000, "http"),
        ("python manage.py runserver 0.0.0.0:8000", 8000, "http"),
        ("python manage.py shell", 8000, None),
        ("node /w/node_modules/.bin/vite --host", 5173, "http"),
        ("node /w/node_modules/vite/bin/vite.js", 24678, "reload"),
        ("node --require x /w/node_modules/next/dist/bin/next dev", 3000, "http"),
        ("'next-server (v15.1.0)'", 3000, "http"),
        ("'gunicorn: master [app]'", 8000, "http"),
        ("'nginx: master process nginx -g daemon off;'", 80, "http"),
        ("php -S localhost:8080", 8080, "http"),
        ("ruby -run -e httpd . -p 8080", 8080, "http"),
        ("node /w/node_modules/.bin/webpack serve", 8080, "http"),
        # other protocols
        ("redis-server *:6400", 6400, "other"),
        ("/usr/lib/postgresql/15/bin/postgres -D /data -p 5555", 5555, "other"),
        ("python -m aiosmtpd -n -l localhost:8025", 8025, "other"),
        ("python -m pyftpdlib -p 2121", 2121, "other"),
        # debuggers
        ("python -m debugpy --listen 5678 --wait-for-client s.py", 5678, "debugger"),
        ("python -m debugpy --listen 0.0.0.0:9999 s.py", 9999, "debugger"),
        ("python -m debugpy --listen 5678 app.py", 8000, None),
        ("python /v/site-packages/debugpy/adapter --for-server 40001 --port 5678", 5678, "debugger"),
        ("node --inspect app.js", 9229, "debugger"),
        ("node --inspect-brk=0.0.0.0:7000 app.js", 7000, "debugger"),
        ("node --inspect=7000 app.js", 3000, None),
        ("java -agentlib:jdwp=transport=dt_socket,server=y,address=*:5005 -jar a.jar", 5005, "debugger"),
        ("java -agentlib:jdwp=transport=dt_socket,server=y,address=*:5005 -jar a.jar", 8080, None),
        ("chrome --headless --remote-debugging-port=9300", 9300, "debugger"),
        # numbers that are no ports; more than 4,300 digits are refused by int()
        (f"node --inspect={'9' * 5_000} app.js", 9229, None),
        (f"chrome --remote-debugging-port={'9' * 5_000}", 9300, None),
        (f"python -m debugpy --listen {'9' * 5_000} app.py", 5678, None),
        ("dlv debug --headless --listen=:2345", 2345, "debugger"),
        # nobody knows: scripts that are named like a server, code on the command line
        ("node server.js", 3000, None),
        ("python flask.py", 3000, None),
        ("python named.py", 3000, None),
        ("python -c 'import vite'", 3000, None),
        ("node -e 'require(\"http\")' vite", 3000, None),
        ("bash", 3000, None),
        ("''", 3000, None),
        ("", 3000, None),
    ],
)
def test_the_protocol_is_known_from_the_command_line(command: str, port: int, expected: str | None) -> None:
    assert protocol(shlex.split(command), port) == expected


@given(st.lists(st.text(max_size=12), max_size=5), st.integers(0, 65535))
def test_reading_arbitrary_command_lines_never_fails(words: list[str], port: int) -> None:
    assert protocol(words, port) in {None, *get_args(Protocol)}
    assert usual(port) in {None, *get_args(Protocol)}
    assert serves_pages(words) in (True, False)
    assert names_port([*words, f"--port={port}"], port)


@pytest.mark.parametrize(
    ("command", "port", "expected"),
    [
        ("python -m http.server 40123", 40123, True),
        ("vite --port=40123 --host", 40123, True),
        ("serve -l tcp://0.0.0.0:40123", 40123, True),
        ("python -m http.server 140123", 40123, False),
        ("app --version 1.40123.2", 40123, False),
        ("node server.js", 40123, False),
    ],
)
def test_the_port_is_read_from_the_command_line(command: str, port: int, expected: bool) -> None:
    assert names_port(shlex.split(command), port) is expected
