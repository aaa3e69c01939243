"""Telegrams out of a serial line: whatever else comes along is left behind.

A line may begin in the middle of a telegram, lose bytes, or carry noise. No telegram has a `/` or
a `!` inside, so the last `/` before a `!` is where it began.
"""

from commonwatt.meter.driver.p1 import TELEGRAM_BYTES_MAX

TELEGRAM_BYTES_MIN = 16
"""Maker, type and the end: no telegram is shorter."""
END_BYTES_MAX = 8
"""After the `!`: four digits and the end of the line."""
_PIECE = 4_096


class Splitter:
    """Cuts a stream of bytes into telegrams; holds never more than one of them."""

    __slots__ = ("_held", "left_behind")

    def __init__(self) -> None:
        self._held = bytearray()
        self.left_behind = 0
        """Bytes so far that belonged to no whole telegram."""

    def feed(self, data: bytes) -> list[bytes]:
        """The telegrams that are complete with these bytes, each from `/` to its line's end."""
        found: list[bytes] = []
        for start in range(0, len(data), _PIECE):
            self._held += data[start : start + _PIECE]
            self._cut(found)
        return found

    def _cut(self, found: list[bytes]) -> None:
        held, done = self._held, 0
        while (mark := held.find(b"!", done)) >= 0:
            line = held.find(b"\n", mark, mark + END_BYTES_MAX)
            if line < 0 and len(held) < mark + END_BYTES_MAX:
                break  # the rest of the line is still to come
            start = held.rfind(b"/", done, mark)
            end = line + 1 if line >= 0 else mark + 1
            fits = TELEGRAM_BYTES_MIN <= end - start <= TELEGRAM_BYTES_MAX
            if start < 0 or line < 0 or not fits:
                self.left_behind += end - done
            else:
                self.left_behind += start - done
                found.append(bytes(held[start:end]))
            done = end
        # Of what is left only the last beginning can still become a telegram.
        start = held.rfind(b"/", done, mark if mark >= 0 else len(held))
        kept = start if start >= 0 else (mark if mark >= 0 else len(held))
        if len(held) - kept > TELEGRAM_BYTES_MAX:
            kept = len(held)
        self.left_behind += kept - done
        del held[:kept]
