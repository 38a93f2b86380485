"""Derives from the command line of a server what one of its ports speaks: HTTP, another protocol, a debugger.

Only programs that leave no doubt are listed. Everything else is unknown, which is not the same as "not HTTP".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Literal

from agent_runtime.lazy import lazy_pattern

# reload: a channel that pages of another port connect to
Protocol = Literal["http", "https", "other", "debugger", "reload"]


def _words(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


_PAGES = _words(  # development servers of front ends
    "vite vite-preview next next-server nuxt nuxi astro webpack-dev-server react-scripts ng vue-cli-service parcel",
    "gatsby eleventy docusaurus storybook sb browser-sync live-server",
)
_HTTP = _PAGES | _words(
    "http.server SimpleHTTPServer uvicorn gunicorn hypercorn daphne waitress waitress-serve granian flask",
    "streamlit jupyter jupyter-lab jupyter-notebook mkdocs sphinx-autobuild livereload http-server serve puma rails",
    "unicorn rackup thin jekyll hugo caddy nginx apache2 httpd lighttpd json-server",
)
_OTHER = _words(
    "postgres postmaster mysqld mariadbd mongod mongos redis-server redis-sentinel valkey-server keydb-server",
    "memcached cassandra zookeeper kafka nats-server mosquitto rabbitmq-server beanstalkd sshd dropbear vsftpd",
    "proftpd pure-ftpd pyftpdlib aiosmtpd smtpd exim4 dovecot named dnsmasq slapd rsync distccd sccache",
    "git-daemon chronyd iperf iperf3 Xvfb Xvnc x11vnc adb",
)
_DEBUGGERS = _words("dlv gdbserver lldb-server debugpy/adapter pydevd")
_RELOAD_PORTS = frozenset({35729, 24678})  # LiveReload; Vite's channel where it has a port of its own
_DEBUG_PORTS = frozenset({5005, 5678, *range(9222, 9240)})  # JDWP, debugpy, Chrome and node
# ports of other protocols, by assignment: a program that is not known is not expected to speak HTTP there
_OTHER_PORTS = frozenset(
    {21, 22, 23, 25, 53, 110, 111, 143, 389, 445, 465, 587, 636, 993, 995, 1025, 1433, 1521, 1883, 2181, 3306}
    | {3389, 4222, 5432, 5433, 5672, 5900, 6379, 6380, 9042, 9092, 11211, 27017, 27018, 50051}
)

_INSPECT = lazy_pattern(r"--inspect(?:-brk|-wait)?(?:=(?:.*:)?(\d{1,5}))?$")
_DEBUG_OPTION = lazy_pattern(
    r"-agentlib:jdwp=.*address=(?:.*:)?(\d{1,5})(?!\d)|--remote-debugging-port=(\d{1,5})(?!\d)"
)
_TLS_OPTION = lazy_pattern(
    r"--(?:ssl-(?:certfile|keyfile|cert|key)|certfile|https|experimental-https|tls(?:-cert)?)(?:=.*)?"
)
_INTERPRETER = lazy_pattern(
    r"(?:python|pypy|node|nodejs|ruby|php|perl|bun|deno|tsx|ts-node|java|sh|bash|dash|env)[\d.]*"
)
_WITH_ARGUMENT = frozenset({"-W", "-X", "-r", "--require", "--import", "--loader", "--env-file"})


def protocol(words: Sequence[str], port: int) -> Protocol | None:
    """What a process with this command line speaks on the port; None when the command line does not say."""
    names = set(_names(words))
    if port in _debug_ports(words) or names & _DEBUGGERS:
        return "debugger"
    if names & _OTHER:
        return "other"
    if port in _RELOAD_PORTS:
        return "reload"
    if names & _HTTP or _serves(words, names):
        return "https" if any(_TLS_OPTION.fullmatch(word) for word in words) else "http"
    return None


def serves_pages(words: Sequence[str]) -> bool:
    """Return whether it is the development server of a front end, which is preferred to an API beside it."""
    return not _PAGES.isdisjoint(_names(words))


def usual(port: int) -> Protocol | None:
    """Return the usual protocol on a port, for unknown programs; None for most ports."""
    if port in _DEBUG_PORTS:
        return "debugger"
    if port in _OTHER_PORTS:
        return "other"
    return "https" if port % 1000 == 443 else None  # 443, 3443, 8443


def names_port(words: Sequence[str], port: int) -> bool:
    """Return whether a command line names the port."""
    return any(re.search(rf"(?<![\d.]){port}(?![\d.])", word) for word in words)


def _names(words: Sequence[str]) -> list[str]:
    """The names that a command is known by: of the program, and of the script or module that it interprets."""
    first = words[0].split() if words else []
    if not first:
        return []
    name = first[0].rpartition("/")[2].rstrip(":")  # or a title: "nginx: master process", "next-server (v15)"
    if not _INTERPRETER.fullmatch(name):
        return [name]
    rest = list(words[1:])
    while rest and rest[0].startswith("-") and rest[0] not in ("-m", "-c", "-e"):
        del rest[: 2 if rest[0] in _WITH_ARGUMENT else 1]
    if rest[:1] == ["-m"]:
        return [name, *rest[1:2], *(module.partition(".")[0] for module in rest[1:2])]
    return [name, *_script_names(rest[0])] if rest and rest[0] not in ("-c", "-e") else [name]


def _script_names(script: str) -> list[str]:
    path = PurePosixPath(script)
    names = [path.name, f"{path.parent.name}/{path.name}"]
    if "node_modules" in path.parts[:-1]:  # node_modules/vite/bin/vite.js
        names.append(path.parts[len(path.parts) - path.parts[::-1].index("node_modules")])
    return names


def _serves(words: Sequence[str], names: set[str]) -> bool:
    """A program that is a server with some of its arguments only."""
    if "manage.py" in names:
        return "runserver" in words
    if "php" in names:
        return "-S" in words
    if "webpack" in names:
        return "serve" in words
    return "ruby" in names and any(word.startswith("-run") for word in words)


def _debug_ports(words: Sequence[str]) -> set[int]:
    ports = set[int]()
    for word, following in zip(words, [*words[1:], ""], strict=False):
        if inspect := _INSPECT.fullmatch(word):
            ports.add(int(inspect[1] or 9229))
        elif option := _DEBUG_OPTION.match(word):
            ports.add(int(option[1] or option[2]))
        elif word == "--listen" and "debugpy" in words:
            ports |= {int(number) for number in re.findall(r"(?:^|:)(\d{1,5})$", following)}
    return ports
