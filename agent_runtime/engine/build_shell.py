"""Builds the settings with which the shell and the sessions of a run are started."""

from __future__ import annotations

import os
from pathlib import Path

from agent_runtime.engine.context import RunContext
from agent_runtime.shell.environment import confined_caches, json_variables, tool_environment
from agent_runtime.shell.log_folder import log_folder
from agent_runtime.shell.login_environment import SWITCH, LoginEnvironment
from agent_runtime.shell.own_commands import own_commands, with_folder
from agent_runtime.shell.settings import ShellSettings
from agent_runtime.shell.truncation import OutputStore
from agent_runtime.system.landlock import Confinement


def shell_settings(ctx: RunContext, hidden: frozenset[str]) -> ShellSettings:
    """Return the settings of the shell and the sessions.

    Args:
        ctx: the context of the run.
        hidden: names of environment variables that tools must not see.
    """
    config, request = ctx.config, ctx.config.request
    logs = log_folder(ctx.run_dir, request.tool_user)
    hidden = hidden - request.env.keys()
    environment = _environment(ctx, hidden, logs)
    confine = Confinement(config.roots) if config.roots is not None else None
    login = LoginEnvironment(
        environment, fixed=request.env.keys(), hidden=hidden, user=request.tool_user, confine=confine
    )
    return ShellSettings(
        cwd=config.workspace,
        env=environment,
        logs=OutputStore(logs),
        user=request.tool_user,
        confine=confine,
        login=None if ctx.recorded_tools or ctx.environ.get(SWITCH) == "0" else login,
    )


def _environment(ctx: RunContext, hidden: frozenset[str], folder: Path) -> dict[str, str]:
    request = ctx.config.request
    caches = confined_caches(ctx.config.run_id) if request.confine else {}
    objects = json_variables({"AGENT_PARAMS": request.params, "AGENT_CONTEXT": request.context}, folder)
    traceparent = ctx.tracing.trace.traceparent
    trace = {"TRACEPARENT": traceparent} if traceparent else {}
    extra = {"AGENT_RUNTIME_RUN_ID": ctx.config.run_id} | trace | caches | request.env | objects
    env = tool_environment(ctx.environ, extra=extra, hidden=hidden, user=request.tool_user)
    if not {"bash", "exec_command"}.isdisjoint(ctx.config.tools) and not ctx.recorded_tools:
        commands = own_commands(ctx.config.state_dir, for_other_user=request.tool_user is not None)
        env["PATH"] = with_folder(env.get("PATH", os.defpath), commands)
    return env
