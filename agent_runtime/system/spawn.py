"""Starting programs clean: nothing of the runtime's own reaches them."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent_runtime.system.landlock import Confinement


def spawn(
    args: Sequence[str],
    *,
    cwd: str | Path,
    env: Mapping[str, str],
    stdin: int,
    stdout: int,
    stderr: int,
    pass_fds: Sequence[int] = (),
    user: str | None = None,
    confine: Confinement | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, with no controlling terminal and nothing of ours: no
    descriptors, no blocked and no ignored signals. `user`: whom it runs as, all groups of that user included.
    `confine`: where it may write, and all that it starts.
    """
    unignore_signals()
    entry = pwd.getpwnam(user) if user else None

    def start() -> subprocess.Popen[bytes]:
        blocked = signal.pthread_sigmask(signal.SIG_SETMASK, ())
        try:
            return subprocess.Popen(
                args,
                cwd=cwd,
                env=dict(env),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                pass_fds=pass_fds,
                start_new_session=True,
                user=entry.pw_uid if entry else None,
                group=entry.pw_gid if entry else None,
                extra_groups=os.getgrouplist(entry.pw_name, entry.pw_gid) if entry else None,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    return confine(start) if confine else start()


def identity(user: str) -> dict[str, str]:
    """The variables that say who somebody is. Raises KeyError when there is no such user."""
    entry = pwd.getpwnam(user)
    return {"USER": user, "LOGNAME": user, "HOME": entry.pw_dir}


def unignore_signals() -> None:
    """Ignore by a handler what was ignored by SIG_IGN, which children inherit (nohup, a background job)."""
    if threading.current_thread() is not threading.main_thread():
        return
    restored_by_popen = {signal.SIGPIPE, signal.SIGXFSZ}
    for number in signal.valid_signals() - restored_by_popen:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
