"""The application: every request goes the same way, whatever it asks for.

Rate of the address, community, who asks, may they, rate of the actor, parameters, body; then, in a
thread, whose it is, what is answered, and in which form. Whatever is wrong on the way is answered
as a problem (RFC 9457).
"""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from commonwatt import __version__
from commonwatt.certificate.refusal import ActionRefused
from commonwatt.errors import InputError, InvariantBroken
from commonwatt.node.errors import DatabaseUnusable, FolderUnusable
from commonwatt.node.service.hosted import Hosted
from commonwatt.node.store import LeaseLost
from commonwatt.web.api.body import Received, receive
from commonwatt.web.api.guard import Guard
from commonwatt.web.api.idempotency import once
from commonwatt.web.api.limits import Limits, address_name
from commonwatt.web.api.openapi import document, document_bytes
from commonwatt.web.api.parameters import path_of, query_of
from commonwatt.web.api.ports import Service
from commonwatt.web.api.problem import Problem, later
from commonwatt.web.api.render import Rendered, accepted, of_problem, pieces, prepared, render
from commonwatt.web.api.roles import ANYBODY, Access, Principal
from commonwatt.web.api.route import (
    STREAM_MARK,
    Answer,
    Call,
    Chunks,
    Result,
    Route,
    Stream,
    unknown,
)
from commonwatt.web.api.sessions import unusable
from commonwatt.web.api.settings import ApiSettings, checked
from commonwatt.web.api.state import Api
from commonwatt.web.api.table import ROUTES

RETRY_S = 5
"""When to send again what could not be stored."""
TOKEN_MAX = 200
_log = logging.getLogger("commonwatt.api")
_Endpoint = Callable[[Request], Awaitable[Response]]


def create_app(
    service: Service,
    settings: ApiSettings | None = None,
    *,
    limits: Limits | None = None,
    elsewhere: Callable[[str], int | None] = lambda _: None,
    clock: Callable[[], float] = time.time,
    steady: Callable[[], float] = time.monotonic,
) -> FastAPI:
    """The application over a node.

    Args:
        service: the node; its communities may come and go.
        settings: the operator's; the defaults unless given.
        limits: what a stranger may use up; the named constants unless given.
        elsewhere: at which port another worker of the node works for a community, if one does.
        clock: UTC seconds, for signing in.
        steady: seconds that only go forward, for rates.

    Raises:
        ApiFileUnusable: the settings contradict each other.
    """
    api = Api(service, checked(settings or ApiSettings()), limits or Limits(), clock, steady)
    api.elsewhere = elsewhere
    app = FastAPI(
        title="Commonwatt",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    app.state.api = api
    for route in ROUTES:
        methods = ["GET", "HEAD"] if route.method == "GET" else [route.method]
        app.add_api_route(
            route.path, _endpoint(api, route), methods=methods, response_model=None, name=route.name
        )
    api.description = prepared(document_bytes())
    app.openapi = document  # type: ignore[method-assign]
    app.add_exception_handler(HTTPException, _not_found(app))
    app.add_middleware(Guard, api=api)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.api.open()
    yield
    app.state.api.close()


def _not_found(app: FastAPI) -> Any:
    """Unknown addresses and methods, as problems."""

    async def answer(request: Request, error: Exception) -> Response:
        status = getattr(error, "status_code", 404)
        path = request.url.path
        if status == 405:  # noqa: PLR2004 - method not allowed
            allowed = ", ".join(_methods(app, request))
            problem = Problem(
                "method-unknown", f"{request.method:.20} {path:.200}", headers={"allow": allowed}
            )
        else:
            problem = Problem("unknown", f"{path:.200}: no such address")
        return _sent(request, of_problem(problem))

    return answer


def _methods(app: FastAPI, request: Request) -> list[str]:
    """What the address knows."""
    found: set[str] = set()
    for route in app.router.routes:
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            found |= getattr(route, "methods", None) or set()
    return sorted(found)


def _endpoint(api: Api, route: Route) -> _Endpoint:
    async def endpoint(request: Request) -> Response:
        received = Received(api, _address(request))
        try:
            return await _answer(api, route, request, received)
        except Problem as problem:
            return _sent(request, of_problem(problem))
        except Exception:  # noqa: BLE001 - it is logged, and answered like everything else
            return _sent(request, of_problem(_defect(route)))
        finally:
            received.let_go()

    endpoint.__name__ = route.name
    return endpoint


def _defect(route: Route) -> Problem:
    number = secrets.token_hex(4)
    _log.exception("defect %s in %s", number, route.name)
    return Problem("defect", f"Defect {number}")


async def _answer(api: Api, route: Route, request: Request, received: Received) -> Response:
    media = accepted(request.headers.get("accept"), route.media)
    path = path_of(request.path_params)
    hosted = _hosted(api, request, path)
    principal, access = _allowed(api, route, request, hosted)
    query = query_of(request.query_params, route.query)
    if route.body is not None:
        await receive(request, route.body, received, api.bounds.body_s)
    call = Call(
        api=api,
        route=route,
        path=path,
        query=query,
        body=received.whole(),
        headers=_headers(request),
        principal=principal,
        access=access,
        address=_address(request),
        target=_target(request),
        _hosted=hosted,
    )
    if route.is_light:
        done = _work(call, media)
    else:
        done = await _in_thread(api, call, media)
    return _response(request, call, done)


async def _in_thread(api: Api, call: Call, media: str) -> Rendered | Chunks | Stream:
    loop = asyncio.get_running_loop()
    working = loop.run_in_executor(api.workers, _work, call, media)
    try:
        async with asyncio.timeout(api.bounds.answer_s):
            return await working
    except TimeoutError:
        raise later("too-slow", call.route.summary, RETRY_S) from None


def _work(call: Call, media: str) -> Rendered | Chunks | Stream:
    """What needs no event loop: whose it is, the answer, and its form."""
    try:
        if call.access is Access.OWN and not _is_own(call):
            raise Problem(
                "not-allowed", f"{call.principal.actor} may not do this: {call.route.summary}"
            )
        result = _result(call)
        if isinstance(result, Chunks | Stream):
            return result
        return render(call, result, media)
    except ActionRefused as refused:
        raise Problem("refused", str(refused), rule=refused.rule) from None
    except (DatabaseUnusable, FolderUnusable, LeaseLost, OSError) as error:
        # Its text may name files and servers; those are for the log.
        _log.warning("%s: %s", call.route.name, error)
        raise later("cannot-store", call.route.summary, RETRY_S) from None
    except InvariantBroken:
        raise
    except InputError as error:
        raise Problem("input-unusable", str(error)) from None


def _is_own(call: Call) -> bool:
    if call.route.owner is None:  # a mistake in the table of routes
        raise LookupError(f"{call.route.name}: nobody says whose it is")
    return call.route.owner(call)


def _result(call: Call) -> Result:
    if not call.route.is_keyed:
        return call.route.handler(call)

    def do() -> Answer:
        answer = call.route.handler(call)
        if not isinstance(answer, Answer):  # a mistake in the table of routes
            raise TypeError(f"{call.route.name}: only a document can be kept")
        return answer

    return once(call, call.principal.actor, do)


# Who asks


def _allowed(
    api: Api, route: Route, request: Request, hosted: Hosted | None
) -> tuple[Principal, Access]:
    principal = _principal(api, request)
    if principal.actor:
        wait = api.by_actor.take(principal.actor)
        if wait:
            raise later("too-many", principal.actor, wait)
    access = principal.access(route.who, hosted)
    if access is Access.NO:
        if principal.is_anybody:
            raise unusable(f"{route.summary}: this is not for everybody")
        raise Problem("not-allowed", f"{principal.actor} may not do this: {route.summary}")
    return principal, access


def _principal(api: Api, request: Request) -> Principal:
    header = request.headers.get("authorization")
    if header is None:
        return ANYBODY
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > TOKEN_MAX:
        raise unusable("write Bearer and a token")
    return api.sessions.who(token)


def _hosted(api: Api, request: Request, path: dict[str, Any]) -> Hosted | None:
    if "name" not in path:
        return None
    name = path["name"]
    found = api.service.communities.get(name)
    if found is not None:
        return found
    port = api.elsewhere(name)
    if port is None:
        raise unknown(f"community {name}: this node does not work for it now")
    location = f"http://{_own_host(request)}:{port}{_target(request)}"
    raise Problem("elsewhere", f"community {name}", headers={"location": location})


def _own_host(request: Request) -> str:
    """The address that was connected to; what the request says of it could be anything."""
    host = str(request.scope["server"][0])
    return f"[{host}]" if ":" in host else host


def _address(request: Request) -> str:
    return "" if request.client is None else address_name(request.client.host)


def _headers(request: Request) -> dict[str, str]:
    return dict(request.headers.items())


def _target(request: Request) -> str:
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path


# Sending


def _response(request: Request, call: Call, done: Rendered | Chunks | Stream) -> Response:
    match done:
        case Rendered():
            return _sent(request, done)
        case Stream():
            headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
            if request.method == "HEAD":
                call.api.streams.give_back(call.address)
                return Response(headers=headers, media_type=done.media)
            request.scope[STREAM_MARK] = True
            return _Released(
                done.pieces,
                lambda: call.api.streams.give_back(call.address),
                headers=headers,
                media_type=done.media,
            )
        case Chunks():
            return _file(request, call, done)


def _file(request: Request, call: Call, chunks: Chunks) -> Response:
    headers = {
        "cache-control": chunks.cache,
        "content-length": str(sum(map(len, chunks.lines))),
        "vary": "authorization",
    }
    if request.method == "HEAD":
        return Response(headers=headers, media_type=chunks.media)
    if not call.api.big_answers.take(""):
        raise later("busy", "Several files are being sent already", RETRY_S)
    return _Released(
        pieces(chunks),
        lambda: call.api.big_answers.give_back(""),
        headers=headers,
        media_type=chunks.media,
    )


class _Released(StreamingResponse):
    """A stream that gives its place back, however it ends."""

    def __init__(self, content: Any, release: Callable[[], None], **options: Any) -> None:
        super().__init__(content, **options)
        self._release = release

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, and let go."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._release()


def _sent(request: Request, rendered: Rendered) -> Response:
    headers, body = rendered.headers, rendered.body
    if request.method == "HEAD":
        # As long as the answer to GET would be, without it.
        headers = {**headers, "content-length": str(len(body))}
        body = b""
    response = Response(body, rendered.status, headers)
    if rendered.status in {204, 304}:
        del response.headers["content-length"]
    return response
