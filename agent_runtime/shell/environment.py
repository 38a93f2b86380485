"""The environment of the tools: what the agent's commands inherit, and why none of them can ask a question.

Nobody sits at the terminal, so every program that would ask must give up at once: the shell has no
controlling terminal, its stdin is empty, and the variables below switch each program's own prompt, pager and
editor off."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

# Variables of the runtime itself, or of the interpreter that runs it: they would change how the agent's own
# Python programs behave.
_OWN = {
    "PYTHONSAFEPATH",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONNOUSERSITE",
    "PYTHONHASHSEED",
    "PYTHONUNBUFFERED",
    "PYTHONWARNINGS",
    "PYTHONIOENCODING",
    "PYTHONUTF8",
    "PYTHONOPTIMIZE",
    "PYTHONFAULTHANDLER",
    "PYTHONTRACEMALLOC",
    "PYTHONASYNCIODEBUG",
    "PYDANTIC_DISABLE_PLUGINS",
    "BASH_ENV",  # would run before the first command, and print into it
    "OLDPWD",
    "SHLVL",
    "_",
}
_OWN_PREFIX = "AGENT_RUNTIME_"

# Keys of model providers, whatever the provider: OPENAI_API_KEY, ANTHROPIC_AUTH_TOKEN, AZURE_OPENAI_KEY ...
_PROVIDERS = (
    "ANTHROPIC|CLAUDE|OPENAI|CODEX|AZURE_OPENAI|GOOGLE|GEMINI|XAI|GROK|MISTRAL|DEEPSEEK|GROQ|OPENROUTER|TOGETHER"
    "|FIREWORKS|CEREBRAS|MOONSHOT|DASHSCOPE|PERPLEXITY|COHERE|OLLAMA|NVIDIA|ZAI|MINIMAX|HF|HUGGINGFACE|REPLICATE"
)
_KEY = re.compile(rf"({_PROVIDERS})(_\w+)?_(API_?)?(KEY|TOKEN|SECRET)S?(_\w+)?|ANTHROPIC_CUSTOM_HEADERS")

# Each set only where the caller's `env` does not say otherwise.
NO_PROMPTS: Mapping[str, str] = {
    "CI": "true",
    "TERM": "dumb",  # less, git and progress bars take it as "no screen"
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
    "GIT_SEQUENCE_EDITOR": "true",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "GCM_INTERACTIVE": "never",
    "SSH_ASKPASS": "false",
    "SSH_ASKPASS_REQUIRE": "force",  # never the terminal, and the helper refuses
    "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=15",
    "SUDO_ASKPASS": "/bin/false",
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

_DEFAULTS: Mapping[str, str] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}


def tool_environment(
    inherited: Mapping[str, str], *, extra: Mapping[str, str], hidden: Collection[str]
) -> dict[str, str]:
    """The variables that the agent's commands see.

    Args:
        inherited: the runtime's own environment.
        extra: what the request asks for (`env`); it wins over everything but `hidden`.
        hidden: names of further variables that must not be seen (a custom model's key variable).

    A variable of another name that holds the value of a hidden one is hidden too.
    """
    secret = {name for name in inherited if name in hidden or _is_key(name)}
    secrets = {inherited[name] for name in secret if len(inherited[name]) >= 8}
    kept = {name: value for name, value in inherited.items() if name not in secret and not _is_own(name)}
    return {
        name: value
        for name, value in {**_DEFAULTS, **kept, **NO_PROMPTS, **extra}.items()
        if name not in hidden and not any(text in value for text in secrets) and _is_settable(name, value)
    }


def confined_caches(run_id: str) -> dict[str, str]:
    """Variables for tools that may not write to the home directory: caches of package managers go elsewhere."""
    cache = Path(tempfile.gettempdir()) / f"agent-cache-{run_id}"
    named = {"npm_config_cache": "npm", "GOMODCACHE": "go", "PIP_CACHE_DIR": "pip"}
    return {"XDG_CACHE_HOME": str(cache)} | {name: str(cache / folder) for name, folder in named.items()}


def _is_key(name: str) -> bool:
    return _KEY.fullmatch(name.upper()) is not None


def _is_own(name: str) -> bool:
    return name in _OWN or name.startswith(_OWN_PREFIX)


def _is_settable(name: str, value: str) -> bool:
    # what execve would refuse
    return bool(name) and "=" not in name and "\0" not in name and "\0" not in value
