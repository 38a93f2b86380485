"""The configuration options of a session: the model, its effort, and whether the model may ask the user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent_runtime.engine.model_choice import DEFAULT_MODELS
from agent_runtime.errors import RequestError
from agent_runtime.providers.endpoints import resolve
from agent_runtime.providers.model_names import MODEL_NAMES

Json = dict[str, Any]

DEFAULT = "default"  # of the effort: what the agent or the provider chooses
_EFFORTS = (DEFAULT, "low", "medium", "high", "xhigh", "max")
_SWITCH = ("on", "off")


def initial_values(model: str | None, effort: str | None, *, ask_user: bool) -> dict[str, str]:
    """Return the values of a new session; an empty model is the default of the runtime."""
    return {"model": model or "", "effort": effort or DEFAULT, "ask_user": "on" if ask_user else "off"}


def config_options(values: Mapping[str, str], environ: Mapping[str, str]) -> list[Json]:
    """Return the options with what can be chosen. Models are those of the providers that have a key."""
    model = values["model"] or default_model(environ)
    models = [model, *(name for name in known_models(environ) if name != model)]
    return [
        _select("model", "Model", "model", model, models),
        _select("effort", "Effort", "thought_level", values["effort"], _EFFORTS),
        _select("ask_user", "Questions to the user", None, values["ask_user"], _SWITCH),
    ]


def checked(
    option: str, value: object, values: Mapping[str, str], environ: Mapping[str, str]
) -> dict[str, str]:
    """Return the values with one changed. Raises RequestError when there is no such option or value.

    Any model that the runtime can resolve may be chosen, also one that is not in the list.
    """
    choices = {"effort": _EFFORTS, "ask_user": _SWITCH}
    if option == "model":
        if not isinstance(value, str) or not value.strip():
            raise RequestError("value", "expected the name of a model")
        resolve(value, environ)
    elif option not in choices:
        raise RequestError("configId", f"expected one of model, effort, ask_user, got {option!r:.60}")
    elif value not in choices[option]:
        raise RequestError("value", f"expected one of {', '.join(choices[option])}, got {value!r:.60}")
    return {**values, option: str(value)}


def default_model(environ: Mapping[str, str]) -> str:
    """Return the model of a run that names none."""
    if named := environ.get("AGENT_RUNTIME_MODEL"):
        return named
    return next((model for variable, model in DEFAULT_MODELS if environ.get(variable)), DEFAULT_MODELS[0][1])


def known_models(environ: Mapping[str, str]) -> list[str]:
    """Return the names of models whose provider has a key."""
    return [name for name in MODEL_NAMES if resolve(name, environ).api_key]


def _select(id: str, name: str, category: str | None, current: str, values: Any) -> Json:
    option = {
        "type": "select",
        "id": id,
        "name": name,
        "currentValue": current,
        "options": [{"value": value, "name": value} for value in values],
    }
    return option | ({"category": category} if category else {})
