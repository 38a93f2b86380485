"""Which row a model's name means, and that the table is sound."""

from __future__ import annotations

import pytest

from agent_runtime.providers.model_table import MODELS, UNKNOWN
from agent_runtime.providers.models import find_model

# the models that the providers' pages list, with the window, the output, and whether they see
CURRENT = """
claude-fable-5 1000000 128000 sees
claude-opus-5-5 1000000 128000 sees
claude-opus-5 1000000 128000 sees
claude-opus-4-8 1000000 128000 sees
claude-sonnet-5-5 1000000 128000 sees
claude-sonnet-5 1000000 128000 sees
claude-haiku-5-5 1000000 128000 sees
claude-haiku-4-5-20251001 200000 64000 sees
claude-sonnet-4-5-20250929 200000 64000 sees
claude-opus-4-1-20250805 200000 32000 sees
gpt-6-astra 1050000 128000 sees
gpt-5.6-sol 1050000 128000 sees
gpt-5.5-2026-04-23 1050000 128000 sees
gpt-5.5-pro 1050000 128000 sees
gpt-5.4 1050000 128000 sees
gpt-5.4-mini-2026-03-17 400000 128000 sees
gpt-5.4-nano 400000 128000 sees
gpt-5.3-codex 400000 128000 sees
gpt-5.2-codex 400000 128000 sees
gpt-5.2-chat-latest 128000 16384 sees
gpt-5.1-codex-max 400000 128000 sees
gpt-5-2025-08-07 400000 128000 sees
gpt-5-pro-2025-10-06 400000 272000 sees
gpt-5-chat-latest 128000 16384 sees
gpt-4.1-2025-04-14 1047576 32768 sees
gpt-4o-2024-11-20 128000 16384 sees
gpt-4o-2024-05-13 128000 4096 sees
gpt-4-1106-preview 128000 4096 blind
gpt-4-0613 8192 4096 blind
gpt-3.5-turbo-0125 16385 4096 blind
o3-mini-2025-01-31 200000 100000 blind
o4-mini 200000 100000 sees
codex-mini-latest 200000 100000 sees
gemini-2.5-pro 1048576 65536 sees
gemini-3-flash-preview 1048576 65536 sees
gemini-3.1-pro-preview 1048576 65536 sees
gemini-3.5-flash 1048576 65536 sees
grok-4.3 1000000 30000 sees
grok-4.20-0309-reasoning 1000000 30000 sees
mistral-large-2512 262144 262144 sees
mistral-medium-2604 262144 262144 sees
mistral-small-2603 256000 256000 sees
deepseek-v4-pro 1000000 384000 blind
deepseek-chat 1000000 384000 blind
llama-3.3-70b-versatile 128000 8192 blind
openai/gpt-oss-120b 131072 65536 blind
kimi-k2.6 262144 262144 sees
kimi-k2-0711-preview 131072 16384 blind
glm-4.6 204800 131072 blind
glm-4.6v 128000 32768 sees
glm-5.2 1000000 131072 blind
qwen3.7-plus 1000000 65536 sees
qwen3.6-max-preview 262144 65536 blind
qwen-turbo 1000000 16384 blind
"""
# what a name ends with, or begins with, at gateways
WRITTEN = """
us.anthropic.claude-sonnet-4-5-20250929-v1:0 claude-sonnet-4-5
anthropic/claude-opus-4.6 claude-opus-4-6
claude-opus-4-6@20260201 claude-opus-4-6
vertex_ai/claude-haiku-4-5@20251001 claude-haiku-4
openai/gpt-5.2 gpt-5-2
azure/gpt-4o gpt-4o
accounts/fireworks/models/kimi-k2p6 kimi-k2-6
accounts/fireworks/models/glm-5p1 glm-5
deepseek-ai/DeepSeek-V4-Pro deepseek-v4
meta-llama/Llama-3.3-70B-Instruct-Turbo llama-3
qwen3:8b qwen3
zai-glm-4.7 glm-4-7
gpt-5-codex gpt-5-codex
gpt-5.1-codex-mini gpt-5-1-codex
gpt-4-turbo-2024-04-09 gpt-4-turbo
gpt-4.1-mini gpt-4-1
o1-preview-2024-09-12 o1-preview
"""
SEES = """
qwen3-vl-plus qwen2.5-vl qwen-vl-max qwen2.5vl:7b glm-4.6v glm-5v-turbo meta-llama/llama-4-scout-17b-16e-instruct
llama4:16x17b llama3.2-vision llama-3.2-11b-vision-instruct magistral-medium-2509 pixtral-large-latest qwen3-omni-flash
some-model-of-mine my-deployment gemma3:12b llava:13b
"""


@pytest.mark.parametrize("line", CURRENT.split("\n")[1:-1])
def test_current_models_have_exact_limits(line: str) -> None:
    name, window, output, sight = line.split()
    row = find_model(name)
    assert (row.context_window, row.max_output, row.vision) == (int(window), int(output), sight == "sees")


@pytest.mark.parametrize("line", WRITTEN.split("\n")[1:-1])
def test_names_are_recognized_in_the_spelling_of_gateways(line: str) -> None:
    name, pattern = line.split()
    assert find_model(name).pattern == pattern


@pytest.mark.parametrize("name", SEES.split())
def test_a_model_is_assumed_to_accept_images(name: str) -> None:
    assert find_model(name).vision


@pytest.mark.parametrize("name", ["gpt", "my-gpt-5", "llamafile", "o", "claudette", "qwe", ""])
def test_a_pattern_matches_whole_name_segments(name: str) -> None:
    assert find_model(name) in (UNKNOWN, find_model("gpt"))
    assert find_model(name).exact is False


def test_the_model_table_is_consistent() -> None:
    patterns = [row.pattern for row in MODELS]
    assert len(set(patterns)) == len(patterns)
    for row in MODELS:
        assert find_model(row.pattern.rstrip("*") or "x").pattern == row.pattern
        assert 0 < row.max_output <= row.context_window
        assert (row.thinking == "effort") <= bool(row.efforts)
        assert row.thinking_off.value == "" or row.thinking_off.by == "value"
