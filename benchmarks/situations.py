"""What the shell does in unusual situations: `python benchmarks/situations.py` writes the tables of
`docs/situations-shell.md` from calls that it makes.

The calls of the first table are made in one shell, in the order given, those of the second in sessions of
`exec_command`. Those that need a program that is not installed are left out, which is reported on stderr.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

import anyio

from agent_runtime.errors import ToolError
from agent_runtime.shell.environment import tool_environment
from agent_runtime.shell.session_manager import SessionManager
from agent_runtime.shell.settings import ShellSettings
from agent_runtime.shell.shell import Shell
from agent_runtime.shell.truncation import OutputStore
from agent_runtime.system.subreaper import Subreaper

PAGE = Path(__file__).parents[1] / "docs/situations-shell.md"
NEVER_STILL = (
    "setsid env -i python3 -c 'import os\nwhile True:\n    if os.fork(): os._exit(0)' & echo on; sleep 60"
)
SHELL: list[tuple[str, str, float]] = [
    ("A grandchild holds stdout", "sleep 300 & echo hi", 20),
    ("... in a session of its own", "setsid sleep 300 & echo hi", 20),
    ("... with `nohup`, disowned", "nohup sleep 300 & disown; echo hi", 20),
    ("Output through a process substitution", "exec > >(cat); echo hi", 20),
    ("A flood left running", "yes &", 20),
    ("A coprocess", "coproc CO { cat; }; echo hi >&${CO[1]}; read -r x <&${CO[0]}; echo $x", 20),
    ("... is there in the next call", "echo ho >&${CO[1]}; read -r x <&${CO[0]}; echo $x", 20),
    ("`exit 3`", "exit 3", 20),
    ("`set -e` and a failure", "set -e; false; echo no", 20),
    ("`set -u` and a variable that is not set", "set -u; echo $none; echo no", 20),
    ("`exec` of a program", "set +u; exec ls -d /", 20),
    ("`kill -9 $$`", "kill -9 $$", 20),
    ("`kill -STOP $$`, timeout of 1 s", "kill -STOP $$", 1),
    ("An unbalanced quote", "echo 'open", 20),
    ("An open here-document", "cat <<X\nopen", 20),
    ("The working directory is deleted", "mkdir d; cd d; rmdir ../d", 20),
    ("... and the call after it", "true", 20),
    ("stdout is closed", "exec >&-; echo hi", 20),
    ("Standard streams opened anew", "echo a >/dev/stdout; echo b >/dev/stderr", 20),
    ("`set -n`: the shell executes nothing any more", "set -n", 20),
    (
        "Builtins redefined",
        "eval() { :; }; printf() { :; }; cd() { :; }; echo hi; unset -f eval printf cd",
        20,
    ),
    ("A DEBUG trap", "trap 'echo at $LINENO >/dev/null' DEBUG; echo hi; trap - DEBUG", 20),
    ("A command line of 1 MB", f"x={'y' * 1_000_000}; echo ${{#x}}", 20),
    ("Timeout of 1 s, a child that double-forked", "(setsid sleep 60 &); sleep 60", 1),
    ("Timeout of 1 s, SIGTERM ignored", "(trap '' TERM; sleep 60)", 1),
    ("Timeout of 1 s, a child that forks and exits all the time", NEVER_STILL, 1),
    ("... the state after it", "x=kept; cd /; sleep 60", 1),
    ("... and the call after that", "echo $x $PWD", 20),
    ("`read`", "read answer", 20),
    ("Python's `input()`", "python3 -c 'input()'", 20),
    ("A password asked on /dev/tty", "openssl enc -aes-256-cbc -in /etc/hostname", 20),
    ("`vi file`", "cd; vi f", 20),
    ("`less file`", "seq 3 > f; less f", 20),
    ("`top`", "top", 20),
    (
        "`git diff`, `git commit` without a message",
        "git init -q . && git add f && git -c user.name=n -c user.email=a@b.c commit -qm 1 && echo 4 >> f && "
        "git diff --stat && git -c user.name=n -c user.email=a@b.c commit -a",
        20,
    ),
    ("`ssh` to a closed port", "ssh -p 1 127.0.0.1", 20),
    (
        "Progress by erasing the line",
        r"for n in 1 2 3; do printf '\e[2K\e[1GStep %d of 3' $n; done; echo",
        20,
    ),
    ("A text whose lines end with carriage returns", r"printf 'one\rtwo\rthree\r'", 20),
    ("A progress bar", r"for n in 1 50 100; do printf '\r%3d%%' $n; done; echo", 20),
    ("Colours and titles", r"printf '\e]0;title\a\e[31mred\e[0m\n'", 20),
    ("Bytes that are not UTF-8, and NUL", r"printf 'a\xffb\0'", 20),
    ("200,000 lines", "seq 200000", 20),
    ("One line of 3 MB", "head -c 3000000 /dev/zero | tr '\\0' x", 20),
    ("500 MB", "yes | head -c 500M", 60),
]
# title, program, what is typed
SESSIONS: list[tuple[str, str, str]] = [
    ("A Python REPL", "python3 -q", "6*7\n"),
    ("... Ctrl-C in an endless loop", "python3 -q -c 'while True: pass'", "\x03"),
    ("Ctrl-D ends the input", "cat", "hi\n\x04"),
    ("Ctrl-Z stops a job", "bash --norc -c 'set -m; sleep 60; jobs'", "\x1a"),
    ("Ctrl-\\ quits", "sleep 60", "\x1c"),
    ("A password", "read -sp 'Password: ' p </dev/tty; echo; echo ${#p} characters", "secret\n"),
    ("An editor, saved and left", "echo before; vim -u NONE f.txt; cat f.txt", "ihello\x1b:wq\n"),
    ("A pager, at the end of 500 lines", "seq 500 | less", "G"),
    ("A process in the background", "read -r x; sleep 300 & sleep 0.2; echo started", "\n"),
    ("Where is the cursor?", r"read -r x; printf 'at \e[6n'; read -rsd R at; echo ${at:1}", "\n"),
    ("A line of 6,000 bytes", "cat >f", "x" * 6000 + "\n"),
    ("tmux", "tmux -L situations$$ new 'bash --norc'", "clear; echo in tmux\n"),
]


def cell(text: str, home: Path) -> str:
    """A result on one line of a table, without its middle where it is long."""
    lines = re.sub(r"/tmp/\S*?/logs/", ".../logs/", text).replace(str(home.parent), "...").split("\n")
    lines = [line.replace("`", "'").replace("|", "\\|") for line in lines]
    if len(lines) > 8:
        named = [line for line in lines[2:-2] if line.startswith("[")]
        lines = [*lines[:2], "(...)", *[part for line in named for part in (line, "(...)")], *lines[-2:]]
    cut = [line if len(line) < 240 else f"{line[:40]}(...){line[-40:]}" for line in lines]
    return "<br>".join(f"`{line}`" for line in cut if line.strip()) or "nothing"


def missing(command: str) -> bool:
    """Is the program that the situation is about not installed? Prints which."""
    needed = {"vim", "vi", "tmux", "less", "top", "ssh", "openssl"}
    program = next((name for name in command.split() if name in needed), "")
    if program and not shutil.which(program):
        print(f"left out, {program} is not installed: {command}", file=sys.stderr)
        return True
    return False


async def in_the_shell(home: Path, shell: Shell) -> list[str]:
    rows = ["| situation | seconds | what the model reads |", "| --- | --- | --- |"]
    for number, (title, command, seconds) in enumerate(SHELL):
        if missing(command):
            continue
        await anyio.sleep(0.3)  # as long as a model takes at least
        began = time.perf_counter()
        result = await shell.run(command, timeout=seconds, call_id=f"call-{number}", tokens=400)
        rows.append(f"| {title} | {time.perf_counter() - began:.2f} | {cell(result.text, home)} |")
    return rows


async def in_sessions(home: Path, sessions: SessionManager) -> list[str]:
    rows = ["| program, and what is typed | what the model reads then |", "| --- | --- |"]
    for number, (title, command, typed) in enumerate(SESSIONS, 1):
        if missing(command):
            continue
        await sessions.open(command, cwd=None, tty=True, seconds=1, tokens=400, call_id=f"session-{number}")
        try:
            result = await sessions.write(len(rows) - 1, typed, seconds=1, tokens=400)
            text = result.text.partition("\n")[2]
        except ToolError as error:
            text = str(error)
        rows.append(f"| {title} | {cell(text, home)} |")
    return rows


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir()
        env = tool_environment(os.environ, extra={"HOME": str(home)}, hidden=[])
        settings = ShellSettings(home, env, OutputStore(Path(folder) / "logs"))
        shell, sessions = Shell(settings), SessionManager(settings)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Subreaper().run)
            tables = [await in_the_shell(home, shell), await in_sessions(home, sessions)]
            await shell.aclose(kill=True)
            await sessions.aclose(kill=True)
            rewrite(PAGE, tables)
            tasks.cancel_scope.cancel()


def rewrite(page: Path, tables: list[list[str]]) -> None:
    """Replace the tables of the page, in order."""
    remaining = iter(tables)
    text = re.sub(
        r"(?:^\|.*\n)+", lambda _: "\n".join(next(remaining)) + "\n", page.read_text("utf-8"), flags=re.M
    )
    page.write_text(text, "utf-8")


if __name__ == "__main__":
    anyio.run(main)
