"""The description of the API (OpenAPI 3.1), made from the table of routes and the structs.

It is committed as `docs/openapi.json`; `python -m commonwatt.web.api` prints it, and a test
compares the two.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import msgspec

from commonwatt import __version__
from commonwatt.web.api import shapes
from commonwatt.web.api.conditional import IF_MATCH
from commonwatt.web.api.idempotency import KEY_HEADER
from commonwatt.web.api.parameters import PATH
from commonwatt.web.api.problem import KINDS, PROBLEM_JSON, PROBLEMS_PATH
from commonwatt.web.api.roles import Role
from commonwatt.web.api.route import BINARY, CSV, EVENTS, NUMBER_HEADER, SIGNATURE_HEADER, Route
from commonwatt.web.api.table import ROUTES

REF = "#/components/schemas/{name}"
BAD_METHOD = 405
"""No operation answers with it: whoever gets it has asked for none."""
_IN_PATH = re.compile(r"\{(\w+)\}")
_ANY = ("form-unknown", "too-many", "defect", "busy", "too-slow", "cannot-store", "input-unusable")
_WITH_BODY = ("length-missing", "body-too-large", "media-unknown", "body-too-slow")
_HEADERS = {
    "etag": "Changes with the document; send it back as If-None-Match.",
    "retry-after": "Seconds to wait.",
    "link": "The next page, where there is one.",
}
_Schema = dict[str, Any]


def document() -> _Schema:
    """The whole description."""
    schemas = _components()
    paths: dict[str, _Schema] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
        if route.method == "GET":
            paths[route.path]["head"] = _head(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Commonwatt",
            "version": __version__,
            "summary": "A node's communities: records in, statements, prices, certificates out.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {str(status): _problem(status) for status in sorted(_statuses())},
            "headers": {
                name: {"description": text, "schema": {"type": "string"}}
                for name, text in _HEADERS.items()
            },
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "From POST /v1/session, or one of the node's settings.",
                }
            },
        },
    }


@cache
def document_bytes() -> bytes:
    """The description as it is committed and served."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=2) + b"\n"


def structs() -> list[Any]:
    """Every type that goes over the wire."""
    found = [shapes.Problem]
    for route in ROUTES:
        found += [kind for kind in (route.gives, route.body and route.body.kind) if kind]
    return list(dict.fromkeys(kind for kind in found if isinstance(kind, type)))


def _components() -> dict[str, _Schema]:
    _, components = msgspec.json.schema_components(structs(), ref_template=REF)
    for route in ROUTES:
        if route.is_list:
            components[f"{route.gives.__name__}Page"] = _page(route)
    return {name: _exact(components[name]) for name in sorted(components)}


def _page(route: Route) -> _Schema:
    return {
        "title": f"{route.gives.__name__}Page",
        "description": "A page of a list.",
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": _schema_of(route.gives)},
            "next": {
                "anyOf": [{"type": "string"}, {"type": "null"}],
                "description": "Cursor of the page after; null for the last one.",
            },
        },
        "required": ["items", "next"],
    }


def _exact(schema: Any) -> Any:
    """Decimals are written as numbers, exact ones."""
    if isinstance(schema, dict):
        if schema.get("format") == "decimal":
            return {"type": "number"}
        return {name: _exact(inner) for name, inner in schema.items()}
    if isinstance(schema, list | tuple):
        return [_exact(inner) for inner in schema]
    return schema


def _schema_of(kind: Any) -> _Schema:
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=REF)
    return dict(_exact(schema))


def _operation(route: Route) -> _Schema:
    operation: _Schema = {
        "operationId": route.name,
        "summary": route.summary,
        "description": _who(route),
        "tags": [route.tag],
        "parameters": list(_parameters(route)),
        "responses": _responses(route),
        "security": _security(route),
    }
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {media: _sent(route, media) for media in route.body.media},
        }
    return operation


def _head(route: Route) -> _Schema:
    responses = {
        status: {key: part for key, part in response.items() if key != "content"}
        for status, response in _responses(route).items()
    }
    return {**_operation(route), "operationId": f"head_{route.name}", "responses": responses}


def _who(route: Route) -> str:
    cells = (f"{role.value} {route.who.access(role).value}" for role in Role)
    return f"Who may: {', '.join(cells)}."


def _security(route: Route) -> list[_Schema]:
    """A token is never in the way, and needed where anybody may not."""
    is_open = route.who.access(Role.PUBLIC).value in {"yes", "signed"}
    return [{}, {"token": []}] if is_open else [{"token": []}]


def _sent(route: Route, media: str) -> _Schema:
    if media == BINARY:
        return {"schema": {"type": "string", "format": "binary"}}
    kind = route.body.kind if route.body else None
    shown = {} if route.sent is None else {"example": route.sent}
    return {"schema": _schema_of(kind), **shown}


def _parameters(route: Route) -> Iterator[_Schema]:
    for name in _IN_PATH.findall(route.path):
        yield {"name": name, "in": "path", "required": True, "schema": PATH[name][1]}
    _, components = msgspec.json.schema_components([route.query], ref_template=REF)
    for name, schema in components[route.query.__name__]["properties"].items():
        yield {"name": name, "in": "query", "required": False, "schema": _plain(schema)}
    if _is_keyed(route):
        yield _header(KEY_HEADER, "The answer to a key is given again when the request is.", 100)
    if "changed" in route.problems:
        yield _header(IF_MATCH, "ETag of the document that the change is based on.", 200)
    if "signature-missing" in route.problems:
        yield _header(NUMBER_HEADER, "Which action of the account it is.", 15)
        yield _header(SIGNATURE_HEADER, "Over the text of the problem signature-missing.", 132)
    if EVENTS in route.media:
        yield _header("last-event-id", "Events after this one are told first.", 18)


def _is_keyed(route: Route) -> bool:
    return route.is_keyed or "key-taken" in route.problems


def _header(name: str, text: str, most: int) -> _Schema:
    schema = {"type": "string", "maxLength": most}
    return {
        "name": name, "in": "header", "required": False, "description": text, "schema": schema,
    }  # fmt: skip


def _plain(schema: Mapping[str, Any]) -> _Schema:
    """What a query can say: leaving a parameter out is how null is written."""
    plain = dict(_exact(schema))
    if plain.get("default", ...) is None:
        del plain["default"]
    options = [one for one in plain.pop("anyOf", []) if one != {"type": "null"}]
    if len(options) == 1:
        plain = {**options[0], **plain}
    if "enum" in plain:
        plain["enum"] = [value for value in plain["enum"] if value is not None]
    return plain


def _responses(route: Route) -> dict[str, _Schema]:
    done: _Schema = {"description": route.summary}
    if route.gives is not None:
        done["content"] = {media: _given(route, media) for media in route.media}
        done["headers"] = {"etag": {"$ref": "#/components/headers/etag"}}
    if route.is_list:
        done["headers"]["link"] = {"$ref": "#/components/headers/link"}
    found: dict[str, _Schema] = {str(route.status): done}
    if route.method == "GET":
        found["304"] = {"description": "It is as it was when If-None-Match was told."}
    statuses = {KINDS[name].status for name in _problems(route)}
    for status in sorted(statuses):
        found[str(status)] = {"$ref": f"#/components/responses/{status}"}
    return found


def _statuses() -> set[int]:
    return {kind.status for kind in KINDS.values()} - {BAD_METHOD}


def _problems(route: Route) -> Iterable[str]:
    found = [*_ANY, *route.problems]
    if route.body is not None:
        found += _WITH_BODY
    # Whoever shows a token that is over hears so everywhere.
    found.append("token-unusable")
    if any(route.who.access(role).value != "yes" for role in Role):
        found.append("not-allowed")
    if "{" in route.path:
        found.append("unknown")
    if "{name}" in route.path:
        found.append("elsewhere")
    if _is_keyed(route):
        found += ["running", "key-taken"]
    if "signature-missing" in route.problems or route.name in {"sign_out", "retirement"}:
        found += ["not-allowed"]
    return dict.fromkeys(found)


def _given(route: Route, media: str) -> _Schema:
    if media == CSV:
        return {"schema": {"type": "string", "description": "One line for each item."}}
    if not route.is_list:
        shown = {} if route.example is None else {"example": route.example}
        return {"schema": _schema_of(route.gives), **shown}
    shown = {} if route.example is None else {"example": {"items": [route.example], "next": None}}
    return {"schema": {"$ref": REF.format(name=f"{route.gives.__name__}Page")}, **shown}


def _problem(status: int) -> _Schema:
    named = {name: kind for name, kind in KINDS.items() if kind.status == status}
    return {
        "description": "; ".join(f"{name}: {kind.title}" for name, kind in named.items()),
        "headers": {"retry-after": {"$ref": "#/components/headers/retry-after"}},
        "content": {
            PROBLEM_JSON: {
                "schema": {"$ref": REF.format(name=shapes.Problem.__name__)},
                "example": shown_problem(next(iter(named))),
            }
        },
    }


def shown_problem(name: str) -> _Schema:
    """An example of a kind of problem."""
    kind = KINDS[name]
    return {
        "type": f"{PROBLEMS_PATH}/{name}",
        "title": kind.title,
        "status": kind.status,
        "detail": f"What it is about. {kind.step}",
    }
