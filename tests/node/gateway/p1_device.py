"""A smart meter's P1 port behind a socket, with a time of its own that passes as fast as wanted."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from commonwatt.meter.driver.p1 import crc16

NOON = 1_466_510_400
DEVICE = "E0031"


def telegram(time: int, import_mwh: int, export_mwh: int = 0, device: str = DEVICE) -> bytes:
    """A telegram of DSMR 5; registers in whole Wh."""
    local = datetime.fromtimestamp(time + 2 * 3_600, UTC)
    rows = [
        "/ISk5\\2MT382-1000", "", "1-3:0.2.8(50)", f"0-0:1.0.0({local:%y%m%d%H%M%S}S)",
        f"0-0:96.1.1({device.encode().hex()})",
        f"1-0:1.8.0({import_mwh // 10**6:06d}.{import_mwh // 1_000 % 1_000:03d}*kWh)",
        f"1-0:2.8.0({export_mwh // 10**6:06d}.{export_mwh // 1_000 % 1_000:03d}*kWh)", "!",
    ]  # fmt: skip
    body = "\r\n".join(rows).encode()
    return body + f"{crc16(body):04X}\r\n".encode()


class P1Device:
    """A meter that counts 1 Wh in each second of its own."""

    def __init__(self, start: int = NOON, step_s: int = 300, every_s: float = 0.01) -> None:
        """Take its time, how much of it passes from telegram to telegram, and how long that is."""
        self.start = self.time = start
        self.step_s, self.every_s = step_s, every_s
        self.until = 2**40
        """It stands still from then on, and goes on saying so."""
        self.is_mute = False
        self.connections = 0
        self._stopping = threading.Event()

    def import_mwh(self, time: int) -> int:
        """What its register shows at a time."""
        return 5_000_000 + (time - self.start) * 1_000

    def telegram(self) -> bytes:
        """Its next telegram; time passes with it."""
        self.time = min(self.time + self.step_s, self.until)
        return telegram(self.time, self.import_mwh(self.time))

    @contextmanager
    def on_socket(self) -> Iterator[str]:
        """Behind a socket while inside; gives its address."""
        server = socket.create_server(("127.0.0.1", 0))
        server.settimeout(0.05)
        thread = threading.Thread(target=self._serve, args=(server,))
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        finally:
            self._stopping.set()
            thread.join()
            server.close()

    def _serve(self, server: socket.socket) -> None:
        while not self._stopping.is_set():
            try:
                client, _ = server.accept()
            except TimeoutError:
                continue
            self.connections += 1
            with client, suppress(OSError):
                # The one it came in the middle of.
                client.sendall(self.telegram()[40:])
                while not self._stopping.wait(self._pause) and not self.is_mute:
                    client.sendall(self.telegram())

    @property
    def _pause(self) -> float:
        return self.every_s if self.time < self.until else 0.05
