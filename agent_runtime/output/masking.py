"""Masks secrets in events, transcripts and logs: plain or escaped, URL-encoded, in base64, in hex, or split."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from urllib.parse import quote, quote_plus, unquote, urlsplit

from agent_runtime.lazy import deferred, lazy_pattern

MASK = "[secret]"
SHORTEST = 6  # characters of a key; masking a shorter value would garble ordinary words
_SHORTEST_VALUE, _SHORTEST_NUMBER = 8, 10  # characters of a password, and of one that is a number
# letters, `-` and `_` alone: a shorter value is a word or two, such as `postgres` or `lm-studio`
_LONGEST_WORD = 16
_WORDS = lazy_pattern(r"[a-z]+([-_. ][a-z]+)*", re.IGNORECASE)
_KEY_PREFIXES = ("sk-", "pk-", "rk-", "sk_", "pk_", "key-", "gsk_", "xai-", "hf_", "ghp_", "AIza", "rt_")
# characters by which the beginning of a form is searched for; some forms are 10,000 characters long
_HEAD = 8
_SHORTEST_FORM = 8  # characters of an encoded form: a shorter base64 text may occur by chance

_SECRET_NAME = lazy_pattern(
    r"(^|_)(API_?KEY|KEY|TOKENS?|SECRETS?|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|AUTH|DSN)(_|$)|APIKEY$|PASSWORD$|TOKEN$|SECRET$",
    re.IGNORECASE,
)
# names of variables that refer to a secret, but do not contain it
_REFERENCE = lazy_pattern(r"_(SOCK|FILE|PATH|DIR|URL|ID|NAME)$", re.IGNORECASE)
_SECRET_HEADER = lazy_pattern(r"auth|cookie|key|token|secret|password", re.IGNORECASE)
_SCHEME = lazy_pattern(r"(bearer|basic|token|negotiate)\s+", re.IGNORECASE)


def named_as_secret(name: str) -> bool:
    """Return whether the name of a variable suggests that its value is a secret."""
    return _SECRET_NAME.search(name) is not None and _REFERENCE.search(name) is None


def header_secrets(headers: Mapping[str, str]) -> list[str]:
    """Return the values of headers whose names suggest secrets, with and without their scheme (`Bearer`)."""
    values = [value for name, value in headers.items() if value and _SECRET_HEADER.search(name)]
    return [*values, *map(without_scheme, values)]


def without_scheme(credentials: str) -> str:
    """Return the value of an `Authorization` header without its scheme."""
    return _SCHEME.sub("", credentials)


def url_secrets(urls: Mapping[str, str]) -> dict[str, str]:
    """Return the password in each of the URLs (or the user name where there is no password), by their keys."""
    found = {}
    for name, url in urls.items():
        with suppress(ValueError):  # not a valid URL
            parts = urlsplit(url)
            if secret := parts.password or parts.username:
                found[name] = unquote(secret)
    return found


def address_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the passwords in the base URLs of providers, by the names of their variables."""
    return url_secrets({name: url for name, url in environ.items() if name.endswith("_BASE_URL")})


def mask_url(url: str) -> str:
    """Return the URL with its password masked."""
    for secret in url_secrets({"": url}).values():
        url = url.replace(f":{quote(secret, safe='')}@", f":{MASK}@").replace(f":{secret}@", f":{MASK}@")
    return url


def is_common(value: str) -> bool:
    """Return whether a value is too short or too ordinary to be masked: it would occur in unrelated texts."""
    if value.startswith(_KEY_PREFIXES):
        return len(value) < SHORTEST
    if value.isdecimal():
        return len(value) < _SHORTEST_NUMBER
    return len(value) < _SHORTEST_VALUE or (len(value) < _LONGEST_WORD and bool(_WORDS.fullmatch(value)))


class Masker:
    """Replaces every form of the given secrets by `[secret]`.

    Args:
        secrets: secrets that are masked everywhere.
        loose: secrets that are masked everywhere but in diffs and paths of the workspace: passwords in the tools'
            environment, and keys that are ordinary words. Files may contain them, and a masked diff cannot be applied.

    Attributes:
        workspace: the masker for diffs and paths.
    """

    workspace: Masker

    def __init__(self, secrets: Iterable[str], loose: Iterable[str] = ()) -> None:
        self._strict: list[str] = []
        self._loose: list[str] = []
        self.add(secrets, loose)

    def add(self, secrets: Iterable[str], loose: Iterable[str] = ()) -> None:
        """Mask further secrets from now on."""
        self._strict += [secret.strip() for secret in secrets]
        self._loose += [secret.strip() for secret in loose]
        self.workspace = Masker(self._strict) if self._loose else self
        forms: set[str] = set()
        for secret in self._strict + self._loose:
            if len(secret) >= SHORTEST:
                forms |= _forms(secret)
        self._forms = sorted(forms, key=len, reverse=True)
        self._beginnings = {form[:length] for form in forms for length in range(1, min(_HEAD, len(form)))}
        self._pattern = deferred(partial(re.compile, "|".join(map(re.escape, self._forms))))

    def __call__(self, text: str) -> str:
        """Return the text with all secrets masked."""
        for form in self._forms:  # most texts contain none, and looking for each is faster than the pattern
            if form in text:
                return self._pattern.sub(MASK, text)
        return text

    def held_back(self, text: str) -> int:
        """Return how many characters at the end of the text may be the beginning of a secret."""
        if held := max((_overlap(text, form) for form in self._forms), default=0):
            return held
        lengths = range(min(_HEAD - 1, len(text)), 0, -1)
        return next((length for length in lengths if text[-length:] in self._beginnings), 0)


class StreamMasker:
    """Masks a text that arrives in pieces.

    The end of a piece that may begin a secret is held back until the next one.
    """

    def __init__(self, mask: Masker) -> None:
        self._mask = mask
        self._held = ""

    def feed(self, piece: str) -> str:
        """Add a piece, and return the masked text that can be emitted now."""
        text = self._mask(self._held + piece)
        held = self._mask.held_back(text)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def flush(self) -> str:
        """Return the text that was held back, at the end of the stream."""
        rest, self._held = self._held, ""
        return rest


def _overlap(text: str, form: str) -> int:
    """Return how many characters at the end of the text begin the form: at least _HEAD, and not all of it; else 0."""
    at = max(0, len(text) - len(form) + 1)
    while (at := text.find(form[:_HEAD], at)) >= 0:
        if form.startswith(text[at:]):
            return len(text) - at
        at += 1
    return 0


def _forms(secret: str) -> set[str]:
    raw = secret.encode()
    forms = {secret, secret[::-1], json.dumps(secret)[1:-1]}
    forms |= {quote(secret, safe=""), quote(secret), quote_plus(secret), raw.hex(), raw.hex().upper()}
    forms |= {"".join(map(escape.format, raw)) for escape in ("%{:02x}", "%{:02X}", "\\x{:02x}")}
    forms.add("".join(f"\\u{ord(char):04x}" for char in secret))
    forms |= {json.dumps(form, ensure_ascii=False)[1:-1] for form in forms}  # as they are escaped in an event
    for shift in range(3):  # the encoding of a secret inside a longer base64 text depends on its offset
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(b"\0" * shift + raw).decode().rstrip("=")
            # the first and last characters also encode bits of adjacent bytes; only those between are fixed
            start = (0, 2, 3)[shift]
            end = len(text) - (1 if (len(raw) + shift) % 3 else 0)
            forms.add(text[start:end])
    return {form for form in forms if form == secret or len(form) >= _SHORTEST_FORM}
