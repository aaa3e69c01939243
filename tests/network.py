"""A network that a test can break: a small TCP proxy before a port of this machine."""

import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PIECE_BYTES = 65_536
LATE_S = 0.05
ANSWER_BYTES_MIN = 100
"""A broker's own words on a connection are shorter, a node's answers longer."""
REPEATS_MAX = 40
PARALLEL = 4


class Proxy:
    """Hands on what comes, as well as its mood lets it."""

    def __init__(self, port: int) -> None:
        """Listen on a free port, before another of this machine."""
        self._to = port
        self._mood = "fine"
        self._sockets: set[socket.socket] = set()
        self._said: list[bytearray] = []
        """What was said on each connection towards the port."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    @classmethod
    @contextmanager
    def to(cls, port: int) -> Iterator["Proxy"]:
        """A proxy that works while inside."""
        proxy = cls(port)
        threading.Thread(target=proxy._accept, daemon=True).start()
        try:
            yield proxy
        finally:
            # Who waits for the next connection is only woken up by shutting down.
            proxy._listener.shutdown(socket.SHUT_RDWR)
            proxy._listener.close()
            proxy.mood = "cut"

    @property
    def mood(self) -> str:
        """fine, cut, slow, or answers lost: what was asked arrives, and nobody hears of it."""
        return self._mood

    @mood.setter
    def mood(self, mood: str) -> None:
        self._mood = mood
        if mood == "cut":
            self._hang_up(*list(self._sockets))

    def _hang_up(self, *ends: socket.socket) -> None:
        for end in ends:
            self._sockets.discard(end)
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._mood == "cut":
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self._to), timeout=5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            self._sockets |= {near, far}
            said = bytearray()
            self._said.append(said)
            threading.Thread(target=self._carry, args=(near, far, said), daemon=True).start()
            threading.Thread(target=self._carry, args=(far, near, None), daemon=True).start()

    def _carry(self, here: socket.socket, there: socket.socket, said: bytearray | None) -> None:
        with suppress(OSError):
            while piece := here.recv(PIECE_BYTES):
                if said is not None:
                    said += piece
                elif self._mood == "answers lost" and len(piece) >= ANSWER_BYTES_MIN:
                    break
                if self._mood == "slow":
                    time.sleep(LATE_S)
                there.sendall(piece)
        self._hang_up(here, there)

    def send_again(self, dice: random.Random) -> None:
        """Say what was said before once more: in any order, on several connections at once."""
        again = [bytes(said) for said in self._said if said][-REPEATS_MAX:]
        dice.shuffle(again)
        threads = [
            threading.Thread(target=self._say_all, args=(again[first::PARALLEL],))
            for first in range(PARALLEL)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _say_all(self, again: list[bytes]) -> None:
        for said in again:
            with socket.create_connection(("127.0.0.1", self._to), timeout=20) as connection:
                connection.sendall(said)
                connection.shutdown(socket.SHUT_WR)
                with suppress(OSError):
                    while connection.recv(PIECE_BYTES):
                        pass
