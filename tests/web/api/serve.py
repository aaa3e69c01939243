"""A node in a process of its own, for tests that send what no client would: `serve.py FOLDER`."""

import sys
from pathlib import Path

import uvicorn

from commonwatt.web.api import create_app, server_options
from commonwatt.web.api.limits import Limits
from web.api.parts import Station, settings

LIMITS = Limits(
    header_s=0.6,
    body_s=0.6,
    send_s=1.2,
    bodies_bytes=16 * 1024 * 1024,
    bodies_bytes_per_address=16 * 1024 * 1024,
    connections=60,
    connections_per_address=40,
)


def main(folder: str) -> None:
    """Serve until told to stop; says its port first."""
    station = Station(Path(folder))
    station.live(4)
    station.hosted.publish()
    app = create_app(station, settings(), limits=LIMITS)
    # Enough to fill every buffer on the way to somebody who does not read.
    station.hosted.lines = lambda _: [b"x" * 99 + b"\n"] * 400_000  # type: ignore[method-assign]
    config = uvicorn.Config(app, host="127.0.0.1", port=0, **server_options(settings(), LIMITS))
    server = uvicorn.Server(config)
    started = server.startup

    async def startup(*arguments: object, **options: object) -> None:
        await started(*arguments, **options)  # type: ignore[arg-type]
        [socket, *_] = server.servers[0].sockets
        sys.stdout.write(f"{socket.getsockname()[1]}\n")
        sys.stdout.flush()

    server.startup = startup  # type: ignore[method-assign]
    server.run()


if __name__ == "__main__":
    main(sys.argv[1])
