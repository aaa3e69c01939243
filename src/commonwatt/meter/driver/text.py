"""Text from devices: bounded, in UTF-8, line by line."""

from collections.abc import Iterator

from commonwatt.meter.driver.failure import FormatUnreadable, MessageTooLarge

LINE_MAX = 64 * 1_024
"""Characters of a line; a day of five-minute values has some 3,000."""
LINES_MAX = 1_000_000


def read_text(payload: bytes, bytes_max: int, what: str) -> str:
    """UTF-8 text within a limit, without its byte order mark.

    Raises:
        MessageTooLarge: more bytes than that.
        FormatUnreadable: not UTF-8.
    """
    if len(payload) > bytes_max:
        raise too_large(what, len(payload), bytes_max)
    try:
        return payload.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatUnreadable(
            f"{what} is no UTF-8 text from byte {error.start} on: write it in UTF-8"
        ) from None


def too_large(what: str, size: int, limit: int) -> MessageTooLarge:
    """The error for a text of `size` bytes or characters above `limit`."""
    return MessageTooLarge(f"{what} has {size} bytes, more than {limit}: divide it")


def numbered_lines(text: str, what: str) -> Iterator[tuple[int, str]]:
    """Each line that is not empty with its number from 1, one at a time, without its end.

    Raises:
        MessageTooLarge: a line of more than `LINE_MAX` characters, or more than `LINES_MAX`.
    """
    start, number = 0, 1
    while start < len(text):
        end = text.find("\n", start)
        stop = len(text) if end < 0 else end
        if stop - start > LINE_MAX:
            raise MessageTooLarge(
                f"line {number} of {what} has more than {LINE_MAX} characters: divide it"
            )
        if number > LINES_MAX:
            raise MessageTooLarge(f"{what} has more than {LINES_MAX} lines: divide it")
        line = text[start:stop].rstrip("\r")
        if line.strip():
            yield number, line
        start, number = stop + 1, number + 1
