"""Checks the fields of a request against this machine: folders, users, variables, the kernel.

Fast and synchronous. Each function raises RequestError, which names the field that is wrong.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent_runtime.dev_servers.urls import check_template
from agent_runtime.errors import RequestError
from agent_runtime.protocol.request import Request
from agent_runtime.system import exec_limits


def workspace_of(request: Request, environ: Mapping[str, str]) -> Path:
    """Return the workspace, an absolute path. Raises RequestError when it is not a folder that can be read."""
    named = request.workspace or environ.get("AGENT_RUNTIME_WORKSPACE")
    try:
        path = Path(named or ".").resolve(strict=True)
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        os.scandir(path).close()
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise RequestError(
            "workspace", f"expected a folder that exists and can be read, got {named or '.'} ({reason})"
        ) from error
    return path


def checked_folder(field: str, named: str | None) -> Path | None:
    """Return the absolute path of the folder that a field names, if any. Raises RequestError when it does not exist."""
    if named is None:
        return None
    if not Path(named).is_dir():
        raise RequestError(field, f"expected a folder that exists: {named}")
    return Path(named).absolute()


def dev_url_of(request: Request, environ: Mapping[str, str]) -> str | None:
    """Return the template of public addresses, if there is one. Raises RequestError when it is not valid."""
    template = request.dev_url or environ.get("AGENT_RUNTIME_DEV_URL") or None
    if template is not None:
        check_template(template)
    return template


def check_tool_user(user: str | None) -> None:
    """Raises RequestError unless tools can run as this user."""
    if user is None:
        return
    import pwd

    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise RequestError("toolUser", f"expected the name of a user of this machine: {user}") from None
    if os.geteuid() not in (0, entry.pw_uid):
        raise RequestError("toolUser", f"only root can run tools as another user: {user}")


def check_env(env: Mapping[str, str], environ: Mapping[str, str]) -> None:
    """Raises RequestError for variables with which no program could be started."""
    for name, value in env.items():
        if exec_limits.size(name, value) > exec_limits.LONGEST_VARIABLE:
            most = exec_limits.LONGEST_VARIABLE - exec_limits.size(name, "")
            raise RequestError(
                f"env.{name}",
                f"expected at most {most:,} bytes, the limit of Linux; put the value in a file",
            )
    if env and (excess := exec_limits.exceeded_by(env, environ)) > 0:
        raise RequestError(
            "env",
            f"expected {excess:,} bytes less in total, the limit of Linux; put large values in files",
        )
    if "PATH" in env:
        import shutil

        if shutil.which("bash", path=env["PATH"]) is None:
            hint = "; variables in it are not expanded" if "$" in env["PATH"] else ""
            raise RequestError("env.PATH", f"expected a PATH on which bash is found: {env['PATH']!r}{hint}")


def check_confine(request: Request) -> None:
    """Raises RequestError when the kernel cannot restrict where tools write, as the request wants it."""
    if not request.confine:
        return
    from agent_runtime.system import landlock

    try:
        landlock.check()
    except OSError as error:
        raise RequestError(
            "confine", f"expected a kernel with Landlock, which restricts where tools write: {error.strerror}"
        ) from error


def check_output_schema(schema: Mapping[str, Any] | None) -> None:
    """Raises RequestError when this is not a JSON Schema that can be used."""
    if schema is not None:
        from agent_runtime.conversation.answer_schema import answer_format

        answer_format(schema)


def check_mounts(request: Request, workspace: Path) -> None:
    """Raises RequestError when a mounted folder does not exist."""
    for index, mount in enumerate(request.mounts):
        if not (workspace / mount.path).exists():
            raise RequestError(f"mounts[{index}].path", f"expected a path that exists: {mount.path}")
