"""The HTTP API in a thread of its own, beside the keepers."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Thread
from time import monotonic, sleep

import uvicorn

from commonwatt.node.service.metrics import metrics_text
from commonwatt.node.service.service import Service
from commonwatt.web.api import Deliverer, create_app, read_api_settings, server_options
from commonwatt.web.listening import CannotListen, bound, cannot
from commonwatt.web.metrics import Metrics

START_S, STOP_S = 10.0, 5.0
LOOK_S = 0.02


@contextmanager
def served(
    service: Service, host: str, port: int, sockets: Sequence[socket.socket] | None = None
) -> Iterator[None]:
    """Answer HTTP while inside.

    Args:
        service: opened.
        host: to listen on.
        port: to listen on.
        sockets: `bound` there before; they are bound here unless given.

    Raises:
        CannotListen: naming the address.
    """
    if sockets is None:
        with bound(host, port) as taken, served(service, host, port, taken):
            yield
        return
    settings = read_api_settings(service.folder)
    app = create_app(service, settings, elsewhere=lambda name: _port_of(service, name, port))
    figures = Metrics(app.state.api, lambda: metrics_text(service))
    app.router.add_route("/metrics", figures.answer)
    config = uvicorn.Config(app, host=host, port=port, **server_options(settings))
    try:
        for own in sockets:
            own.listen(config.backlog)
    except OSError as error:
        raise cannot(host, port, error) from None
    server = _Quiet(config)
    deliverer = Deliverer(service)
    thread = Thread(target=server.run, args=([*sockets],), name="http", daemon=True)
    thread.start()
    until = monotonic() + START_S
    while not server.started and thread.is_alive() and monotonic() < until:
        sleep(LOOK_S)
    if not server.started:
        server.should_exit = True
        raise CannotListen(f"{host}:{port}: the API did not start; see the log, and try again")
    deliverer.start()
    try:
        yield
    finally:
        deliverer.stop()
        server.should_exit = True
        thread.join(STOP_S)


def _port_of(service: Service, name: str, port: int) -> int | None:
    """Where another worker of the node works for a community; None if none does."""
    if name not in service.names:
        return None
    worker = service.names.index(name) % service.share.workers
    return None if worker == service.share.worker else port - service.share.worker + worker


class _Quiet(uvicorn.Server):
    """A server that leaves signals to the process it runs in."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
