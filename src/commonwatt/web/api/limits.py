"""What a stranger may use up, and the buckets and shares that keep count of it."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from ipaddress import ip_address
from threading import Lock

# Bodies

RECORD_BYTES_MAX = 4 * 1024 * 1024
"""Of a batch of records: 25,575 of them in binary."""
DOCUMENT_BYTES_MAX = 64 * 1024
"""Of any other body."""
SIGN_IN_BYTES_MAX = 4 * 1024
BODIES_BYTES_MAX = 64 * 1024 * 1024
"""Of all bodies that are being received or worked on, together."""
BODIES_PER_ADDRESS_BYTES_MAX = 32 * 1024 * 1024
"""Of those from one remote address."""
QUERY_BYTES_MAX = 2 * 1024
"""Of what follows the question mark."""

# Time, in seconds

HEADER_S = 10.0
"""From the first byte of a request, or from the connection's begin, to the end of its header."""
BODY_S = 30.0
"""To receive a body."""
ANSWER_S = 60.0
"""To work out an answer; what was begun is finished all the same."""
SEND_S = 30.0
"""For a receiver to take the next piece of an answer."""
KEEP_ALIVE_S = 20
"""A connection may be silent between two requests."""
SHUTDOWN_S = 10
"""To finish what is under way when the node stops."""
STREAM_S = 3_600.0
"""A stream of events ends after so long; its reader comes again with the last number."""
HEARTBEAT_S = 15.0
"""A stream says at least so often that it is alive."""

# Counts

CONNECTIONS_MAX = 1_000
CONNECTIONS_PER_ADDRESS_MAX = 250
REQUESTS_AT_ONCE_MAX = 500
WORKERS = 32
"""Threads that answer."""
BIG_ANSWERS_AT_ONCE_MAX = 2
"""Files of an audit, sent at the same time."""
STREAMS_MAX = 200
STREAMS_PER_ADDRESS_MAX = 10
HEADER_BYTES_MAX = 16 * 1024
PAGE, PAGE_MAX = 100, 1_000
"""Entries of a list: unless asked otherwise, and at most."""
PAGE_BYTES_MAX = 4 * 1024 * 1024
"""Of proofs in a page: it is short then."""
SCANNED_MAX = 10 * PAGE_MAX
"""A filter looks through so many entries for one page; the page may be short then."""
KEPT_MAX = 10_000
"""Addresses and actors whose rate is remembered; the one not heard of longest is forgotten."""

IPV6_PREFIX = 64
"""One customer has so many bits of an IPv6 address: all of it counts as one address."""


class Buckets:
    """Token buckets by name: each fills at a steady rate up to its size, and requests empty it."""

    def __init__(
        self,
        per_s: float,
        size: float,
        clock: Callable[[], float],
        kept_max: int = KEPT_MAX,
    ) -> None:
        """Every bucket is full at first.

        Args:
            per_s: tokens that come back in a second.
            size: tokens a full bucket holds.
            clock: seconds that only go forward.
            kept_max: how many buckets are remembered.
        """
        self._per_s, self._size, self._clock, self._kept_max = per_s, size, clock, kept_max
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()
        """Tokens left, and at what time."""
        self._lock = Lock()

    def take(self, name: Hashable, tokens: float = 1) -> float:
        """Take tokens, or nothing of them.

        Returns:
            Seconds until there are enough; 0 if they were taken. What is larger than the bucket is
            let through when it is full.
        """
        with self._lock:
            now, left = self._now(name)
            wanted = min(tokens, self._size)
            if left >= wanted:
                self._left[name] = left - tokens, now
                return 0.0
            self._left[name] = left, now
            return (wanted - left) / self._per_s

    def charge(self, name: Hashable, tokens: float) -> None:
        """Take tokens for what is done already, even if there are not enough."""
        with self._lock:
            now, left = self._now(name)
            self._left[name] = left - tokens, now

    def wait_for(self, name: Hashable) -> float:
        """Seconds until the bucket is not empty; takes nothing."""
        with self._lock:
            now, left = self._now(name)
            self._left[name] = left, now
            return max(0.0, -left / self._per_s)

    def _now(self, name: Hashable) -> tuple[float, float]:
        now = self._clock()
        left, at = self._left.pop(name, (self._size, now))
        while len(self._left) >= self._kept_max:
            self._left.popitem(last=False)
        return now, min(self._size, left + (now - at) * self._per_s)


class Shares:
    """So much of something for everybody together, and less for each; bytes or places."""

    def __init__(self, all_max: int, each_max: int) -> None:
        """All of it is free."""
        self._left, self._each_max = all_max, each_max
        self._taken: dict[str, int] = {}
        self._lock = Lock()

    def take(self, name: str, amount: int = 1) -> bool:
        """Take so much, or nothing; whether it was there."""
        with self._lock:
            mine = self._taken.get(name, 0) + amount
            if mine > self._each_max or amount > self._left:
                return False
            self._left -= amount
            self._taken[name] = mine
            return True

    def give_back(self, name: str, amount: int = 1) -> None:
        """What was taken is free again."""
        with self._lock:
            if not amount:
                return
            self._left += amount
            rest = self._taken.pop(name) - amount
            if rest:
                self._taken[name] = rest

    @property
    def names(self) -> int:
        """How many have taken something."""
        return len(self._taken)


@dataclass(frozen=True, slots=True)
class Limits:
    """All that can be shortened for a test; the defaults are what a node has."""

    header_s: float = HEADER_S
    body_s: float = BODY_S
    answer_s: float = ANSWER_S
    send_s: float = SEND_S
    stream_s: float = STREAM_S
    heartbeat_s: float = HEARTBEAT_S
    bodies_bytes: int = BODIES_BYTES_MAX
    bodies_bytes_per_address: int = BODIES_PER_ADDRESS_BYTES_MAX
    connections: int = CONNECTIONS_MAX
    connections_per_address: int = CONNECTIONS_PER_ADDRESS_MAX
    requests_at_once: int = REQUESTS_AT_ONCE_MAX
    streams: int = STREAMS_MAX
    streams_per_address: int = STREAMS_PER_ADDRESS_MAX
    big_answers: int = BIG_ANSWERS_AT_ONCE_MAX


def address_name(host: str) -> str:
    """Under which name a remote address is counted: as it is, or its network where it is IPv6.

    >>> address_name("192.0.2.7"), address_name("2001:db8:1:2:3::4")
    ('192.0.2.7', '2001:db8:1:2::')
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if address.version == 4:  # noqa: PLR2004 - the name of the protocol
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    rest = 128 - IPV6_PREFIX
    return str(ip_address(int(address) >> rest << rest))
