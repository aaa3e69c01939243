"""The HTTP API in a thread of its own, beside the keepers."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from time import monotonic, sleep

import uvicorn
from starlette.responses import Response

from commonwatt.errors import InputError
from commonwatt.node.service.metrics import metrics_text
from commonwatt.node.service.service import Service
from commonwatt.web.api import Deliverer, create_app, read_api_settings, server_options

START_S, STOP_S = 10.0, 5.0
LOOK_S = 0.02
TEXT = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus' own form."""


class CannotListen(InputError):
    """The address that the API should listen on is taken, or not ours."""


@contextmanager
def served(service: Service, host: str, port: int) -> Iterator[None]:
    """Answer HTTP while inside.

    Args:
        service: opened.
        host: to listen on.
        port: to listen on.

    Raises:
        CannotListen: naming the address.
    """
    settings = read_api_settings(service.folder)
    app = create_app(service, settings)
    app.router.add_route("/metrics", lambda _: Response(metrics_text(service), media_type=TEXT))
    server = _Quiet(uvicorn.Config(app, host=host, port=port, **server_options(settings)))
    deliverer = Deliverer(service)
    thread = Thread(target=server.run, name="http", daemon=True)
    thread.start()
    until = monotonic() + START_S
    while not server.started and thread.is_alive() and monotonic() < until:
        sleep(LOOK_S)
    if not server.started:
        server.should_exit = True
        raise CannotListen(
            f"{host}:{port}: cannot be listened on; is another node running? name another "
            "address with listen in node.toml"
        )
    deliverer.start()
    try:
        yield
    finally:
        deliverer.stop()
        server.should_exit = True
        thread.join(STOP_S)


class _Quiet(uvicorn.Server):
    """A server that leaves signals to the process it runs in."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
