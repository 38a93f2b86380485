"""The messages that a run starts with: those of the request or of a thread, then the prompt."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any

from agent_runtime.lazy import dataclass
from agent_runtime.protocol.messages import Message, UserMessage

if TYPE_CHECKING:
    from pathlib import Path

    from agent_runtime.conversation.threads.store import Thread, ThreadStore
    from agent_runtime.protocol.request import Request

log = logging.getLogger(__name__)


@dataclass
class InitialHistory:
    """The history before the first turn, and where what follows is kept.

    `messages` were there before; `task` is new, and is kept with all that comes after it. `mask` hides keys
    from what is kept. `notices` say which parts of attached files the model does not receive.
    """

    messages: list[Message] = field(default_factory=list)
    task: UserMessage | None = None
    system: str = ""
    thread: Thread | None = None
    store: ThreadStore | None = None
    mask: Callable[[str], str] = lambda text: text
    notices: tuple[str, ...] = ()

    @property
    def is_more_than_prompt(self) -> bool:
        """Whether a replay needs more than the text of the request's prompt."""
        return bool(self.messages) or (self.task is not None and len(self.task.blocks) > 1)

    def keep(self, message: Message) -> None:
        """Store a message in the thread; a failure is logged there and does not end the run."""
        if self.thread:
            self.thread.append(self._masked(message))

    def replace(self, messages: Sequence[Message]) -> None:
        """Replace the messages of the thread by a shortened history."""
        if self.thread:
            self.thread.replace([self._masked(message) for message in messages])

    def _masked(self, message: Message) -> Message:
        text = json.dumps(message.model_dump(mode="json"), ensure_ascii=False)
        masked = self.mask(text)
        return message if masked == text else type(message).model_validate_json(masked)

    def close(self) -> None:
        """Release the thread for other runs."""
        if self.thread:
            self.thread.close()
        if self.store:
            self.store.close()

    def recorded(self) -> dict[str, Any]:
        """Return the history for a transcript: a replay has neither the thread nor the files of the messages."""
        task = self.task and self.task.model_dump(mode="json", by_alias=True)
        messages = [message.model_dump(mode="json", by_alias=True) for message in self.messages]
        found = {"messages": messages, "task": task, "system": self.system}
        return found | ({"notices": list(self.notices)} if self.notices else {})

    @classmethod
    def replayed(cls, recorded: Mapping[str, Any]) -> InitialHistory:
        """Return the history in a transcript; it is not stored. Raises ValueError when it is damaged."""
        from agent_runtime.models.twin import adapter_of

        task = recorded.get("task")
        return cls(
            messages=adapter_of(list[Message]).validate_python(recorded.get("messages")),
            task=None if task is None else UserMessage.model_validate(task),
            system=str(recorded.get("system", "")),
            notices=tuple(map(str, recorded.get("notices") or ())),
        )


def load_initial_history(
    request: Request, *, workspace: Path, state_dir: Path, agent: str, mask: Callable[[str], str]
) -> InitialHistory:
    """Return the history of a new run: the `messages` of the request or those of its thread, then the prompt.

    Args:
        request: with `messages` no thread is read or written.
        workspace: where relative paths of files start.
        state_dir: where threads are stored.
        agent: slug that a new thread is filed under.
        mask: hides keys in what is stored.

    Raises:
        RequestError: a message or the thread id is invalid; names the field.
        ThreadBusy: another run is using the thread.
    """
    parts = request.parts or ()
    if request.messages is not None:
        from agent_runtime.conversation.input_messages import read_messages

        given = read_messages(request.messages, workspace=workspace, prompt=request.prompt, parts=parts)
        return InitialHistory(messages=given.messages, system=given.system, notices=given.notices)
    task = UserMessage.of(request.prompt or "")
    notices: tuple[str, ...] = ()
    if parts:
        from agent_runtime.conversation.input_messages import read_task

        task, notices = read_task(request.prompt or "", parts, workspace=workspace)
    if request.thread_id is None:
        return InitialHistory(task=task, notices=notices)
    from agent_runtime.conversation.threads.store import ThreadStore

    store = ThreadStore(state_dir)
    thread = store.open(request.thread_id, agent=agent)
    return InitialHistory(
        messages=list(thread.messages), task=task, thread=thread, store=store, mask=mask, notices=notices
    )
