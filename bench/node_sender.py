"""A child: sends batches that were signed before over one connection, as fast as they are taken.

It does nothing but send and count, so that the machine's time is the node's. Prints, for every
batch, when it was sent and answered by the machine's steady clock, and how many of its records were
accepted.
"""

import http.client
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

ANSWER_S = 120.0
ACCEPTED = b'"accepted"'
OK, LATER = 200, (429, 503)
RETRY_S = 0.05


class Sent(msgspec.Struct, frozen=True, array_like=True):
    """One batch and its answer."""

    began: float
    ended: float
    """By the machine's steady clock, in seconds: comparable between processes."""
    accepted: int
    retries: int


def main(port: int, at: float, work: Sequence[str]) -> list[Sent]:
    """Send `COMMUNITY=FILE` after `COMMUNITY=FILE`, from a time of the steady clock on."""
    bodies = [(name, Path(path).read_bytes()) for name, _, path in (w.partition("=") for w in work)]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_S)
    time.sleep(max(0.0, at - time.monotonic()))
    return [_send(connection, name, body) for name, body in bodies]


def _send(connection: http.client.HTTPConnection, name: str, body: bytes) -> Sent:
    headers = {"content-type": "application/octet-stream"}
    began, retries = time.monotonic(), 0
    while True:
        connection.request("POST", f"/v1/communities/{name}/records", body, headers)
        answer = connection.getresponse()
        said = answer.read()
        if answer.status == OK:
            return Sent(began, time.monotonic(), said.count(ACCEPTED), retries)
        if answer.status not in LATER:
            raise SystemExit(f"{name}: {answer.status} {said[:300]!r}")
        time.sleep(RETRY_S)
        retries += 1


if __name__ == "__main__":
    _, said_port, said_at, *files = sys.argv
    sys.stdout.buffer.write(msgspec.json.encode(main(int(said_port), float(said_at), files)))
