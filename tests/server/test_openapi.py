"""The description of the API against the routes that exist."""

from __future__ import annotations

from starlette.routing import Route

from agent_runtime.server.app import ROUTES
from agent_runtime.server.control import ACTIONS
from agent_runtime.server.openapi import description

_NOT_DESCRIBED = {"/", "/openapi.json", "/page/{name}"}
_ACTION = "/v1/runs/{id}/{action:str}"


def test_every_route_is_described_and_nothing_else() -> None:
    routes = set()
    for route in ROUTES:
        if not isinstance(route, Route) or route.path in _NOT_DESCRIBED:
            continue
        paths = [route.path]
        if route.path == _ACTION:
            paths = [f"/v1/runs/{{id}}/{action}" for action in ACTIONS]
        methods = {method.lower() for method in route.methods or ()} - {"head"}
        routes |= {(path, method) for path in paths for method in methods}
    described = {(path, method) for path, methods in description()["paths"].items() for method in methods}
    assert described == routes


def test_every_reference_has_a_schema() -> None:
    document = description()
    schemas = document["components"]["schemas"]

    def references(value: object) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*map(references, value.values()))
        return set().union(*map(references, value)) if isinstance(value, list) else set()

    names = {name.removeprefix("#/components/schemas/") for name in references(document)}
    assert names and names <= schemas.keys()
