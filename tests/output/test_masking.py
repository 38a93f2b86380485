from __future__ import annotations

import base64
import json
from itertools import pairwise
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_runtime.output.masking import MASK, Masker, StreamMasker, is_common, mask_url, named_as_secret

KEY = 'sk-ant-a/b+c"d\\é-0123456789'


@given(st.binary(max_size=7), st.binary(max_size=7))
def test_a_key_is_masked_in_base64_at_any_offset(before: bytes, after: bytes) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = encode(before + KEY.encode() + after).decode()
        masked = Masker([KEY])(text)
        assert MASK in masked
        left = masked.replace(MASK, "")
        # at most the characters that share bits with the neighbours
        assert len(left) <= len(text) - len(KEY) + 4


def test_a_key_is_masked_in_every_spelling() -> None:
    mask = Masker([KEY])
    for text in (KEY, quote(KEY, safe=""), KEY.encode().hex(), KEY.replace("\\", "\\\\").replace('"', '\\"')):
        assert mask(f"<{text}>") == f"<{MASK}>"
    escapes = [
        "".join(f"\\u{ord(char):04x}" for char in KEY),
        "".join(f"\\x{byte:02x}" for byte in KEY.encode()),
    ]
    percents = "".join(f"%{byte:02x}" for byte in KEY.encode())
    for text in (KEY[::-1], percents, percents.upper(), *escapes):
        assert mask(f"<{text}>") == f"<{MASK}>"
        assert mask(json.dumps(text, ensure_ascii=False)) == f'"{MASK}"'  # as it is escaped in an event


@given(st.lists(st.integers(0, 60), max_size=6))
def test_a_key_split_over_pieces_is_masked(cuts: list[int]) -> None:
    text = f"before {KEY} after {KEY}"
    bounds = [0, *sorted(cuts), len(text)]
    masker = StreamMasker(Masker([KEY]))
    masked = "".join(masker.feed(text[a:b]) for a, b in pairwise(bounds)) + masker.flush()
    assert masked == f"before {MASK} after {MASK}"


def test_short_values_are_not_masked() -> None:
    assert Masker(["test", ""])("a test") == "a test"


def test_variables_that_hold_secrets_are_recognized_by_name() -> None:
    secret = [
        "ANTHROPIC_API_KEY",
        "GITHUB_TOKEN",
        "DB_PASSWORD",
        "AWS_SECRET_ACCESS_KEY",
        "apiKey",
        "PGPASSWORD",
        "MY_CREDENTIALS",
    ]
    harmless = ["PATH", "HOME", "KEYBOARD", "SSH_AUTH_SOCK", "MONKEY", "TOKENIZERS_PARALLELISM", "SECRETARY"]
    assert [name for name in secret if not named_as_secret(name)] == []
    assert [name for name in harmless if named_as_secret(name)] == []


@pytest.mark.parametrize(
    "value", ["postgres", "lm-studio", "admin", "changeme", "ollama", "12345678", "secret", ""]
)
def test_a_common_word_is_not_a_secret(value: str) -> None:
    assert is_common(value)


@pytest.mark.parametrize(
    "value",
    [
        "sk-test",
        "hunter22",
        "pa55word",
        "correct-horse-battery",
        "1234567890",
        "AbC123xyz",
        "sk-ant-0123456789",
    ],
)
def test_a_password_or_key_is_a_secret(value: str) -> None:
    assert not is_common(value)


def test_paths_and_diffs_are_masked_for_keys_only() -> None:
    mask = Masker(["sk-ant-0123456789"], ["pa55word1"])
    assert mask("sk-ant-0123456789 pa55word1") == f"{MASK} {MASK}"
    assert mask.workspace("sk-ant-0123456789 pa55word1") == f"{MASK} pa55word1"
    alone = Masker(["sk-ant-0123456789"])
    assert alone.workspace is alone


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("https://user:pa55word1@host/v1", f"https://user:{MASK}@host/v1"),
        ("https://user:p%40ss%2Fword@host", f"https://user:{MASK}@host"),
        ("http://host:8080/v1?a=b", "http://host:8080/v1?a=b"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, masked: str) -> None:
    assert mask_url(url) == masked


@given(
    secrets=st.lists(st.text("ab1", min_size=1, max_size=14), min_size=1, max_size=3),
    text=st.text("ab1", max_size=40),
)
def test_the_longest_end_that_may_begin_a_secret_is_held_back(secrets: list[str], text: str) -> None:
    mask = Masker(secrets)
    beginnings = {form[:length] for form in mask._forms for length in range(1, len(form))}
    expected = next((length for length in range(len(text), 0, -1) if text[-length:] in beginnings), 0)
    assert mask.held_back(text) == expected
