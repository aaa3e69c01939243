"""A child: many clients that look once a second, each with an address and a connection of its own.

They ask what a home's display asks: the community, its last intervals, the node's health, with the
ETag they were given. Prints how long each answer took, in seconds, in order of length.
"""

import asyncio
import sys
import time

import msgspec

PERIOD_S = 1.0
PATHS = ("/v1/communities/{}", "/v1/communities/{}/intervals?limit=4", "/v1/health")
HEAD_END = b"\r\n\r\n"


async def main(port: int, clients: int, seconds: float, community: str) -> list[float]:
    """Let so many clients ask for so long; their first questions are spread over a second."""
    until = time.monotonic() + seconds
    asked = await asyncio.gather(
        *(_client(port, number, clients, until, community) for number in range(clients))
    )
    return sorted(took for of_client in asked for took in of_client)


async def _client(
    port: int, number: int, clients: int, until: float, community: str
) -> list[float]:
    host = f"127.1.{number // 250}.{number % 250 + 1}"
    await asyncio.sleep(PERIOD_S * number / clients)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(host, 0))
    took, etags, turn = [], dict[str, bytes](), number
    due = time.monotonic()
    while time.monotonic() < until:
        path = PATHS[turn % len(PATHS)].format(community)
        began = time.monotonic()
        await _ask(reader, writer, path, etags)
        took.append(time.monotonic() - began)
        turn, due = turn + 1, due + PERIOD_S
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    writer.close()
    return took


async def _ask(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    path: str,
    etags: dict[str, bytes],
) -> None:
    known = etags.get(path)
    told = b"" if known is None else b"if-none-match: " + known + b"\r\n"
    writer.write(b"GET %s HTTP/1.1\r\nhost: 127.0.0.1\r\n%s\r\n" % (path.encode(), told))
    head = (await reader.readuntil(HEAD_END)).lower()
    status = int(head.split(b" ", 2)[1])
    if status not in {200, 304}:
        raise SystemExit(f"{path}: {head.decode()}")
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
    if b"etag" in fields:
        etags[path] = fields[b"etag"].replace(b'w/"', b'W/"')
    await reader.readexactly(int(fields.get(b"content-length", b"0")))


if __name__ == "__main__":
    _, said_port, said_clients, said_seconds, name = sys.argv
    answered = asyncio.run(main(int(said_port), int(said_clients), float(said_seconds), name))
    sys.stdout.buffer.write(msgspec.json.encode(answered))
