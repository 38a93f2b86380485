"""Builds the object graph of a run after `start` was emitted: tool services, model, conversation, executor."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agent_runtime import tools
from agent_runtime.agent.executor import CallObserver, ToolExecutor
from agent_runtime.agent.model import ToolSpec
from agent_runtime.agent.tool import Tool
from agent_runtime.conversation.answer_schema import TOOL
from agent_runtime.conversation.answers import AnswerCheck, FinalAnswerTool
from agent_runtime.dev_servers.urls import Template
from agent_runtime.dev_servers.watcher import DevServerWatcher
from agent_runtime.engine.build_conversation import build_conversation
from agent_runtime.engine.build_model import build_model, observed_model
from agent_runtime.engine.build_shell import shell_settings
from agent_runtime.engine.call_observers import CallRecorder, ObserverChain, ReplayProgress
from agent_runtime.engine.clock import call_when_idle
from agent_runtime.engine.context import RunContext
from agent_runtime.engine.costs import CostMeter, RecordedCosts
from agent_runtime.engine.prompt import rendered_prompt
from agent_runtime.engine.services import RunServices, ToolServices
from agent_runtime.engine.tracing import ToolSpans
from agent_runtime.engine.user import RecordedAnswers, UserDialogue
from agent_runtime.engine.workspace_observer import NullObserver, WorkspaceObserver
from agent_runtime.lazy import deferred
from agent_runtime.output.deltas import ToolOutputDeltas
from agent_runtime.output.masking import address_secrets
from agent_runtime.prompting.skills import Skill
from agent_runtime.providers.keys import file_names, secret_names
from agent_runtime.providers.prices import PriceTable
from agent_runtime.providers.repair import RepairingModel
from agent_runtime.providers.retry import ResilientModel
from agent_runtime.shell.session_manager import SessionManager
from agent_runtime.shell.settings import ShellSettings
from agent_runtime.shell.shell import Shell
from agent_runtime.system.hardening import harden
from agent_runtime.system.process_title import set_title
from agent_runtime.system.subreaper import Subreaper, become_subreaper
from agent_runtime.transcripts.replay_tools import RecordedTool, ReplayedTool

if TYPE_CHECKING:
    from agent_runtime.engine.build_files import FileServices


def prepare_for_tools(ctx: RunContext) -> ShellSettings:
    """Protect the runtime from the processes that it starts, and return the settings to start them with."""
    become_subreaper()
    secrets = _secret_variables(ctx)
    settings = shell_settings(ctx, secrets | file_names(ctx.config.endpoints))
    harden(secrets)
    set_title("agent-runtime")
    return settings


def build_services(
    ctx: RunContext, system: str, settings: ShellSettings, mcp_tools: Mapping[str, Tool]
) -> RunServices:
    """Build the objects that the loop uses.

    Args:
        ctx: the context of the run.
        system: the rendered system prompt (see `system_prompt`).
        settings: how processes are started.
        mcp_tools: the tools of MCP servers.
    """
    shell, sessions = Shell(settings), SessionManager(settings, when_idle=call_when_idle)
    servers = _servers(ctx, shell, sessions)
    observer = _workspace_observer(ctx, servers)
    on_files = deferred(lambda: _file_services(ctx, settings, observer))
    services = ToolServices(
        ctx,
        settings,
        shell,
        sessions,
        files=deferred(lambda: on_files.files),
        search=deferred(lambda: on_files.search),
        user=_user(ctx),
        servers=servers,
    )
    schema = ctx.config.request.output_schema
    answers = AnswerCheck(schema) if schema is not None else None
    offered = {**_tools(ctx), **mcp_tools}
    available = {**offered, **({TOOL: FinalAnswerTool(answers)} if answers else {})}
    format = ctx.config.endpoints[0].format
    specs = tuple(spec for tool in offered.values() if _is_offered(spec := tool.spec(), format))
    resilient, connections = build_model(ctx, lambda call: conversation.refit(call))
    model = observed_model(ctx, resilient)
    costs = _costs(ctx, resilient)
    conversation = build_conversation(
        ctx, model, costs, resilient, system, specs, answers.format if answers else None
    )
    return RunServices(
        ctx=ctx,
        tools=services,
        model=RepairingModel(model, conversation),
        connections=connections,
        conversation=conversation,
        executor=ToolExecutor(
            tools=available,
            contexts=services,
            observer=ObserverChain(_observers(ctx, observer)),
            emit=ctx.sink.emit,
            gate=ctx.inbox.ready_for_tools,
            awaiting=ctx.heartbeat.awaiting,
            parallel=ctx.config.request.config.parallel_tools is not False,
            unbounded=(tools.ASK_USER,),
        ),
        observer=observer,
        costs=costs,
        answers=answers,
        subreaper=Subreaper(),
    )


def _workspace_observer(ctx: RunContext, servers: DevServerWatcher) -> WorkspaceObserver | NullObserver:
    if ctx.recorded_tools:
        return NullObserver()
    return WorkspaceObserver(ctx.tracker, servers, ctx.sink.emit, ctx.sink.is_behind)


def system_prompt(ctx: RunContext, skills: Sequence[Skill]) -> str:
    """Render the agent's template. Reads files of the workspace; raises RequestError when it cannot be rendered."""
    text = rendered_prompt(ctx.config, skills)
    return f"{text}\n{ctx.history.system}".strip() if ctx.history.system else text


def _secret_variables(ctx: RunContext) -> frozenset[str]:
    keys = secret_names(ctx.config.endpoints)
    collectors = {name for name in ctx.environ if re.fullmatch(r"OTEL_EXPORTER_OTLP_(\w+_)?HEADERS", name)}
    return frozenset(keys | collectors | address_secrets(ctx.environ).keys())


def _servers(ctx: RunContext, shell: Shell, sessions: SessionManager) -> DevServerWatcher:
    return DevServerWatcher(
        ctx.sockets,
        Template(ctx.config.dev_url, ctx.config.request.sandbox_id),
        background=shell.background,
        printed=lambda: [*shell.printed(), *sessions.printed()],
    )


def _file_services(
    ctx: RunContext, settings: ShellSettings, observer: WorkspaceObserver | NullObserver
) -> FileServices:
    from agent_runtime.engine.build_files import file_services  # 30 modules that a run may not need

    return file_services(ctx.config, Path(settings.env["HOME"]), observer)


def _user(ctx: RunContext) -> UserDialogue:
    request = ctx.config.request
    return UserDialogue(
        ctx.sink.emit,
        ctx.inbox,
        ctx.clock,
        timeout=request.question_timeout,
        durable=request.thread_id is not None,
        recorded=RecordedAnswers(ctx.replay.transcript) if ctx.replay else None,
    )


def _tools(ctx: RunContext) -> dict[str, Tool]:
    loaded: dict[str, Tool] = {name: tools.load(name) for name in ctx.config.tools}
    if player := ctx.player:
        replayed = RecordedTool if ctx.recorded_tools else ReplayedTool
        return {
            name: (ReplayedTool if name in tools.DIALOGUE else replayed)(tool, player)
            for name, tool in loaded.items()
        }
    return loaded


def _is_offered(spec: ToolSpec, format: str) -> bool:
    return not spec.hosted or format in spec.native


def _observers(ctx: RunContext, workspace: WorkspaceObserver | NullObserver) -> Sequence[CallObserver]:
    """The observers of tool calls, in the order in which they receive the output: later ones see what earlier ones
    add.
    """
    observers: list[CallObserver] = [workspace, ctx.tool_signals, ctx.calls_in_flight]
    if ctx.tracing.is_on:
        observers.insert(0, ToolSpans(has_content=ctx.tracing.has_content))
    if ctx.config.request.partial:
        observers.append(ToolOutputDeltas(ctx.sink.send, ctx.masker))
    if ctx.recorder:
        observers.append(CallRecorder(ctx.recorder))
    if ctx.player:
        observers.append(ReplayProgress(ctx.player))
    return observers


def _costs(ctx: RunContext, model: ResilientModel) -> CostMeter | RecordedCosts:
    if ctx.replay:
        return RecordedCosts(ctx.replay.transcript)
    table = PriceTable(ctx.config.own_prices)
    return CostMeter(table, lambda: ctx.config.endpoints[model.position], ctx.budget, ctx.sink.emit)
