"""Dialects of the three stream formats: each changes the events of a plain stream as some gateway would send them."""

from __future__ import annotations

from types import ModuleType

from tests.providers.dialects import chat, messages, responses
from tests.providers.dialects.plain import COMMANDS, TEXT, Dialect, Json, stream

__all__ = ["COMMANDS", "DIALECTS", "EXCLUDED", "TEXT", "Dialect", "Json", "stream"]


def dialects(module: ModuleType, prefix: str) -> list[Dialect]:
    return [value for name, value in vars(module).items() if name.startswith(prefix)]


DIALECTS = {
    "anthropic": dialects(messages, "messages_"),
    "openai-responses": dialects(responses, "responses_"),
    "openai-chat": dialects(chat, "chat_"),
}
# Pairs of which the second undoes the first, has nothing left to change, or leaves nothing by which calls differ.
EXCLUDED = {
    "chat_arguments_once_more": (
        *(
            chat.chat_one_index_for_all,
            chat.chat_without_index,
            chat.chat_name_with_every_piece,
            chat.chat_calls_in_another_choice,
        ),
        *(chat.chat_empty_object_first, chat.chat_text_so_far, chat.chat_calls_sent_again),
    ),
    "chat_text_so_far": (
        chat.chat_one_index_for_all,
        chat.chat_sent_again,
        chat.chat_calls_sent_again,
        chat.chat_two_equal_choices,
    ),
    "chat_empty_object_first": (
        chat.chat_name_with_every_piece,
        chat.chat_text_so_far,
        chat.chat_message_as_a_delta,
    ),
    "chat_message_as_a_delta": (
        *(chat.chat_message_at_the_end, chat.chat_message_before_the_end, chat.chat_message_for_the_end),
        *(chat.chat_message_with_other_ids, chat.chat_calls_in_the_message_alone),
    ),
    "chat_two_equal_choices": (chat.chat_calls_in_another_choice,),
    "chat_finished_with_every_chunk": (chat.chat_sent_again,),
    "chat_calls_sent_again": (chat.chat_message_for_the_end,),
    "messages_message_for_the_end": (
        *(messages.messages_calls_in_the_message_alone, messages.messages_blocks_sent_again_after_the_end),
    ),
    "messages_one_index_for_all": (
        messages.messages_calls_in_the_message_alone,
        messages.messages_input_once_more,
    ),
    "responses_one_call_id_for_all": (responses.responses_never_done,),
    "responses_in_the_end_alone": (responses.responses_empty_end,),
    "responses_every_event_twice": (
        responses.responses_rotating_item_ids,
        responses.responses_rotating_call_ids,
    ),
}
