"""Builds the environment of tools: what commands inherit, and settings that keep programs from prompting.

There is no user at the terminal, so every program that would prompt must fail at once: the shell has no controlling
terminal, its stdin is empty, and the variables below switch off each program's own prompt, pager and editor.
Variables that carry credentials or name a helper for them (GIT_SSH_COMMAND, GIT_ASKPASS, SSH_ASKPASS) are never
replaced: without a terminal such a helper cannot ask either, and git needs it.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from agent_runtime.lazy import lazy_pattern
from agent_runtime.system.exec_limits import is_settable
from agent_runtime.system.spawn import identity

# Variables that concern the runtime or its parent shell only.
_OWN = {
    "PYTHONSAFEPATH",  # set by launchers of the runtime; the agent's scripts import from their own folder
    "PYDANTIC_DISABLE_PLUGINS",  # set by __main__
    "BASH_ENV",  # would run before the first command, and print into it
    "GIT_SEQUENCE_EDITOR",  # an interactive one would wait; git falls back to GIT_EDITOR
    "OLDPWD",
    "SHLVL",
    "_",
}
_OWN_PREFIX = "AGENT_RUNTIME_"
_PERSONAL = lazy_pattern(r"HOME|USER|LOGNAME|USERNAME|SHELL|MAIL|XDG_\w+|SUDO_(USER|UID|GID|COMMAND)")

# Keys of model providers by name, besides those of the catalog (which `hidden` has): OPENAI_API_KEY_2,
# ANTHROPIC_AUTH_TOKEN, AZURE_OPENAI_KEY. Keys of other services of the same companies are the application's.
_PROVIDERS = (
    "ANTHROPIC|CLAUDE|OPENAI|CODEX|AZURE_OPENAI|GEMINI|XAI|GROK|MISTRAL|DEEPSEEK|GROQ|OPENROUTER|TOGETHER|FIREWORKS"
    "|CEREBRAS|MOONSHOT|DASHSCOPE|PERPLEXITY|COHERE|OLLAMA|NVIDIA|ZAI|MINIMAX|REPLICATE"
)
_KEY = lazy_pattern(
    rf"({_PROVIDERS})_((ADMIN_|ACCESS_|SECRET_)?(API_?)?KEYS?(_\w+)?|((API|AUTH|ACCESS|OAUTH|CODE_OAUTH)_)?TOKEN(_\d+)?"
    r"|(API_)?SECRET(_\d+)?)|GOOGLE(_AI|_GENAI|_GENERATIVE_AI)?_API_KEY(_\w+)?|(ANTHROPIC|OPENAI)_CUSTOM_HEADERS"
)
_FILE_PATH = lazy_pattern(r"(?<![^:,;=\s])(~|\.\.?)?/(?!/)[^:,;=\s]*")

# Set unless the request's `env` sets them: the values of an interactive environment would make programs wait.
NO_PROMPTS: Mapping[str, str] = {
    "CI": "true",
    "TERM": "dumb",  # less, git and progress bars take it to mean that there is no screen
    "PAGER": "cat",
    "MANPAGER": "cat",
    "GIT_PAGER": "cat",
    "SYSTEMD_PAGER": "cat",
    "GH_PAGER": "cat",
    "AWS_PAGER": "",
    "EDITOR": "true",
    "VISUAL": "true",
    "VIMINIT": "autocmd SafeState * cquit",  # not before it would wait for a key: `vim -c ...` works
    "GIT_EDITOR": "true",
    "GIT_TERMINAL_PROMPT": "0",
    "GCM_INTERACTIVE": "never",
    "SSH_ASKPASS_REQUIRE": "force",  # ask SSH_ASKPASS, never the terminal
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN": "true",
    "NEEDRESTART_MODE": "l",
    "APT_LISTCHANGES_FRONTEND": "none",
    "UCF_FORCE_CONFFOLD": "1",
    "PIP_NO_INPUT": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "POETRY_NO_INTERACTION": "1",
    "npm_config_yes": "true",
    "npm_config_fund": "false",
    "npm_config_audit": "false",
    "npm_config_update_notifier": "false",
    "COREPACK_ENABLE_DOWNLOAD_PROMPT": "0",
    "YARN_ENABLE_TELEMETRY": "0",
    "NEXT_TELEMETRY_DISABLED": "1",
    "NG_CLI_ANALYTICS": "false",
    "ASTRO_TELEMETRY_DISABLED": "1",
    "HOMEBREW_NO_AUTO_UPDATE": "1",
    "COMPOSER_NO_INTERACTION": "1",
    "RUSTUP_INIT_SKIP_PATH_CHECK": "yes",
    "NONINTERACTIVE": "1",
}

# Set where neither the image nor the request sets them.
_DEFAULTS: Mapping[str, str] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "SSH_ASKPASS": "false",  # refuses: passwords, passphrases and unknown hosts fail at once
    "SUDO_ASKPASS": "/bin/false",
}


def tool_environment(
    inherited: Mapping[str, str],
    *,
    extra: Mapping[str, str],
    hidden: Collection[str],
    user: str | None = None,
) -> dict[str, str]:
    """Return the environment of the agent's commands.

    Args:
        inherited: the runtime's own environment.
        extra: what the request asks for (`env`); it wins over everything but `hidden`.
        hidden: names of further variables that must not be seen (a custom model's key variable).
        user: whom the commands run as; None for the user of this process.

    Returns:
        Variables that execve accepts. HOME, USER, LOGNAME and SHELL are always among them. A variable of another
        name that holds the value of a hidden one is hidden too. Raises KeyError when there is no such user.
    """
    visible = visible_variables(inherited, hidden)
    if user:
        visible = {name: value for name, value in visible.items() if not _PERSONAL.fullmatch(name)}
    secrets = [inherited[name] for name in inherited.keys() - visible.keys() if is_key(name, hidden)]
    defaults = {**_DEFAULTS, **identity(user)}
    # an empty HOME or PATH of a bare environment counts as unset
    kept = {name: value for name, value in visible.items() if value or name not in defaults}
    variables = {**defaults, **kept, **NO_PROMPTS, **extra}
    return {
        name: value
        for name, value in variables.items()
        if name not in hidden and not holds_secret(value, secrets) and is_settable(name, value)
    }


def visible_variables(variables: Mapping[str, str], hidden: Collection[str]) -> dict[str, str]:
    """Return the variables without those of the runtime and the keys of model providers."""
    return {
        name: value
        for name, value in variables.items()
        if not (is_key(name, hidden) or name in _OWN or name.startswith(_OWN_PREFIX))
    }


def is_key(name: str, hidden: Collection[str]) -> bool:
    """Return whether this is the name of a model provider's key."""
    return name in hidden or _KEY.fullmatch(name.upper()) is not None


def holds_secret(value: str, secrets: Collection[str]) -> bool:
    """Return whether the value contains a secret other than as a part of a file's path.

    A placeholder in the place of a key (`lm-studio`, `not-needed`) is not a secret.
    """
    rest = _FILE_PATH.sub("", value)
    return any(text in rest for text in secrets if _is_key_like(text))


def json_variables(objects: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Return variables with objects for tools as JSON; None is left out.

    An object that is too long for a variable is written to `folder`, and NAME_FILE names the file. Raises OSError
    when it cannot be written.
    """
    variables = {}
    for name, value in objects.items():
        text = json.dumps(value)
        if value is None:
            continue
        if is_settable(name, text):
            variables[name] = text
            continue
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{name.lower()}.json"
        file.write_text(text)
        variables[f"{name}_FILE"] = str(file)
    return variables


def confined_caches(run_id: str) -> dict[str, str]:
    """Return variables that move the caches of package managers, for tools that may not write to the home directory."""
    cache = Path(tempfile.gettempdir()) / f"agent-cache-{run_id}"
    named = {"npm_config_cache": "npm", "GOMODCACHE": "go", "PIP_CACHE_DIR": "pip"}
    return {"XDG_CACHE_HOME": str(cache)} | {name: str(cache / folder) for name, folder in named.items()}


def _is_key_like(text: str) -> bool:
    return len(text) >= 16 or (len(text) >= 8 and any(char.isdigit() for char in text))
