"""Puts the parts of a run together, once `start` is out: hands, tools, model, conversation, executor."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from agent_runtime import tools
from agent_runtime.agent.executor import ToolExecutor, shown
from agent_runtime.agent.model import ModelCall, ToolSpec
from agent_runtime.agent.tool import Tool, ToolContext
from agent_runtime.conversation.compaction import Compactor
from agent_runtime.conversation.conversation import Conversation
from agent_runtime.conversation.tokens import Estimator
from agent_runtime.engine.build_model import RepairingModel, build_models
from agent_runtime.engine.services import RunServices, ToolServices
from agent_runtime.engine.workspace_observer import NullObserver, WorkspaceObserver
from agent_runtime.errors import ProviderError
from agent_runtime.files.editor import FileEditor
from agent_runtime.output.deltas import ToolDeltaWriter
from agent_runtime.output.masking import address_secrets
from agent_runtime.prompting.system_prompt import Facts, render
from agent_runtime.protocol.messages import Message, ToolCall
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.providers.endpoints import key_variables
from agent_runtime.search.search import Searcher
from agent_runtime.shell.environment import confined_caches, tool_environment
from agent_runtime.shell.session_manager import SessionManager
from agent_runtime.shell.shell import Shell
from agent_runtime.shell.truncation import OutputStore
from agent_runtime.system.hardening import harden
from agent_runtime.system.landlock import Confinement
from agent_runtime.system.subreaper import Subreaper, become_subreaper
from agent_runtime.transcripts.replay_tools import RecordedTool, ReplayedTool

if TYPE_CHECKING:
    from agent_runtime.engine.supervisor import RunSupervisor


async def assemble(life: RunSupervisor) -> RunServices:
    """Everything a run needs, made. Raises RequestError when the system prompt cannot be rendered."""
    run, plan = life.frame, life.plan
    become_subreaper()
    hidden = key_variables() | {endpoint.key_variable for endpoint in plan.endpoints}
    hidden |= address_secrets(run.environ).keys()
    environment = _environment(life, hidden)
    harden(hidden)
    observer = NullObserver() if run.recorded else WorkspaceObserver(run.tracker, run.servers, life.emit)
    hands = _hands(life, environment, observer)
    run.servers.attach(hands.shell.background, lambda: [*hands.shell.printed(), *hands.sessions.printed()])
    kit = _tools(life)
    specs = tuple(
        spec for spec in (tool.spec() for tool in kit.values()) if _is_offered(spec, plan.endpoints[0].format)
    )
    system = await to_thread.run_sync(_system_prompt, life, abandon_on_cancel=True)
    models = build_models(life)
    conversation = _conversation(life, models, system, specs)
    models.mend = conversation.mended
    executor = _executor(life, hands, observer, kit)
    return RunServices(life, hands, models, conversation, executor, observer, Subreaper())


def _conversation(
    life: RunSupervisor, models: RepairingModel, system: str, specs: tuple[ToolSpec, ...]
) -> Conversation:
    plan, config = life.plan, life.plan.request.config
    endpoint = plan.endpoints[0]
    estimator = Estimator(system, specs)
    return Conversation(
        template=ModelCall(
            model=endpoint.model,
            system=system,
            messages=(),
            tools=specs,
            max_tokens=plan.limits.max_tokens,
            temperature=plan.temperature,
            effort=config.effort,
            thinking=config.thinking,
            parallel_tools=config.parallel_tools is not False,
            cache_key=plan.request.thread_id or plan.run_id,
        ),
        format=endpoint.format if len({each.format for each in plan.endpoints}) == 1 else None,
        window=endpoint.context_window,
        estimator=estimator,
        compactor=Compactor(
            window=endpoint.context_window,
            reserve=plan.limits.max_tokens or min(endpoint.max_output, endpoint.context_window // 4),
            estimator=estimator,
            summarise=lambda messages: summarise(life, models, messages),
        ),
        past=life.frame.past,
        notify=life.emit,
    )


def _executor(
    life: RunSupervisor, hands: ToolServices, observer: WorkspaceObserver | NullObserver, kit: dict[str, Tool]
) -> ToolExecutor:
    deltas: dict[str, ToolDeltaWriter] = {}
    return ToolExecutor(
        tools=kit,
        context=lambda call, turn: _context(life, hands, call, turn, deltas),
        observer=observer,
        emit=life.emit,
        gate=life.inbox.ready,
        partial=lambda id: _partial(hands, id),
        awaiting=life.heart.awaiting,
        answered=lambda *answer: _answered(life, deltas, *answer),
        parallel=life.plan.request.config.parallel_tools is not False,
    )


async def summarise(life: RunSupervisor, models: RepairingModel, messages: list[Message]) -> str:
    """One model call that is no turn: its usage counts, its text is the summary."""
    plan = life.plan

    async def nothing(_: object) -> None:
        pass

    call = ModelCall(model=plan.endpoints[0].model, system="", messages=messages)
    turn = await models.turn(call, nothing)
    if turn.usage:
        await life.spend(turn.usage)
    if not turn.message.text.strip():
        raise ProviderError("provider_error", "the summary of the conversation is empty", retryable=False)
    return turn.message.text


def _environment(life: RunSupervisor, hidden: frozenset[str]) -> dict[str, str]:
    request = life.plan.request
    caches = confined_caches(life.plan.run_id) if request.confine else {}
    extra = {"AGENT_RUNTIME_RUN_ID": life.plan.run_id} | caches | request.env
    for name, value in (("AGENT_PARAMS", request.params), ("AGENT_CONTEXT", request.context)):
        if value is not None:
            extra[name] = json.dumps(value)
    return tool_environment(life.frame.environ, extra=extra, hidden=hidden - request.env.keys())


def _hands(
    life: RunSupervisor, environment: dict[str, str], observer: WorkspaceObserver | NullObserver
) -> ToolServices:
    plan, folder = life.plan, life.frame.run_dir
    outputs = OutputStore(folder / "output")
    settings: dict[str, Any] = {
        "cwd": plan.workspace,
        "env": environment,
        "outputs": outputs,
        "log_dir": folder / "logs",
        "user": plan.request.tool_user,
        "confine": Confinement(plan.roots) if plan.roots is not None else None,
    }
    eyes = observer if isinstance(observer, WorkspaceObserver) else None
    files = FileEditor(
        workspace=plan.workspace,
        owner=plan.tool_owner,
        roots=plan.roots,
        on_change=eyes.edited if eyes else None,
        changing=eyes.editing if eyes else None,
    )
    return ToolServices(Shell(**settings), SessionManager(**settings), files, Searcher(files.paths))


def _tools(life: RunSupervisor) -> dict[str, Tool]:
    run = life.frame
    kit: dict[str, Tool] = {name: tools.load(name) for name in life.plan.tools}
    if player := run.player:
        replayed = RecordedTool if run.recorded else ReplayedTool
        kit = {name: replayed(tool, player) for name, tool in kit.items()}
    return kit


def _is_offered(spec: ToolSpec, format: str) -> bool:
    return not spec.hosted or format in spec.native


def _system_prompt(life: RunSupervisor) -> str:
    plan, request = life.plan, life.plan.request
    facts = Facts.gather(
        plan.workspace,
        model=plan.endpoints[0].model,
        date=date.today().isoformat(),
        tools=plan.tools,
        params=request.params or {},
        context=request.context or {},
        mounts=[mount.model_dump(by_alias=True) for mount in request.mounts],
    )
    text = render(plan.agent, facts, request.system_prompt)
    return f"{text}\n{life.frame.past.system}".strip() if life.frame.past.system else text


def _context(
    life: RunSupervisor, hands: ToolServices, call: ToolCall, turn: int, deltas: dict[str, ToolDeltaWriter]
) -> ToolContext:
    limits = life.plan.limits
    if life.plan.request.partial:
        deltas[call.id] = ToolDeltaWriter(life.send, life.frame.mask, call.id, turn)
    return ToolContext(
        call_id=call.id,
        workspace=life.plan.workspace,
        shell=hands.shell,
        sessions=hands.sessions,
        files=hands.files,
        servers=life.frame.servers,
        search=hands.search,
        tool_timeout=limits.tool_timeout,
        output_tokens=limits.tool_output_tokens,
        on_output=deltas[call.id].feed if life.plan.request.partial else None,
    )


async def _answered(
    life: RunSupervisor,
    deltas: dict[str, ToolDeltaWriter],
    call: ToolCall,
    output: ToolOutput,
    turn: int,
    seconds: float,
) -> None:
    """A call has its final output: the rest of its deltas (all of them where it never ran), and its record."""
    if life.plan.request.partial:
        said = deltas.pop(call.id, None) or ToolDeltaWriter(life.send, life.frame.mask, call.id, turn)
        await said.finish(shown(output))
    if life.frame.recorder:
        life.frame.recorder.tool_result(call.id, call.name, output, round(seconds * 1000))
    if life.frame.player:
        life.frame.player.answered()


def _partial(hands: ToolServices, id: str) -> ToolOutput | None:
    return hands.shell.partial(id) or hands.sessions.partial(id)
