"""What the events of certificates and of the book say, one pass over them in order.

A transfer to or from nobody says too little: units may have been retired, withdrawn or exported, or
issued, reinstated or restored. The event beside it says which, so that one is read; only an issue
names its receiver nowhere else.
"""

from collections import Counter
from collections.abc import Callable, Container, Iterator

from commonwatt.audit.facts import (
    Act,
    BookPost,
    Claim,
    DirectRecord,
    Escrow,
    Movement,
    Retirement,
)
from commonwatt.chain.abi import WORD, word
from commonwatt.chain.connection import Log
from commonwatt.chain.production import METER_BYTES, TokenId

_NOBODY = bytes(20)


class UnitEvents:
    """Everything that happened to the units of some meters."""

    def __init__(self, known: Container[bytes]) -> None:
        """Read events of the meters in `known`, which may grow while reading."""
        self._known = known
        self._issuing: set[int] = set()
        self.movements: list[Movement] = []
        self._escrows: dict[bytes, Escrow] = {}
        self.kept: dict[bytes, int] = {}
        self.records: list[DirectRecord] = []
        self.posts: list[BookPost] = []

    def readers(self) -> dict[str, Callable[[Log], None]]:
        """What to do with which event of the certificate contract."""
        return {
            "IssuanceSingle": self._issuance,
            "TransferSingle": self._transfer,
            "TransferBatch": self._transfer_batch,
            "ClaimSingle": self._retirement,
            "Withdrawn": self._withdrawal,
            "Reinstated": self._reinstatement,
            "Exported": self._export,
            "Restored": self._return,
            "Reserved": self._escrow,
            "Kept": self._keep,
            "Recorded": self._record,
        }

    def read_post(self, log: Log) -> None:
        """The book's only event."""
        count, head = int.from_bytes(log.topics[1]), log.topics[2]
        self.posts.append(BookPost(count, head, log.tx_hash, log.block_number))

    def issues(self) -> Iterator[Claim]:
        """What was issued, to whom."""
        for m in self.movements:
            if m.act is Act.ISSUED and m.taker is not None:
                yield Claim(m.meter, m.start, m.duration, m.taker, m.wh)

    def retirements(self) -> list[Retirement]:
        """What is retired now.

        Of what a holder has retired of a certificate, the last is given back first.
        """
        back: Counter[tuple[bytes, int, int, bytes | None]] = Counter()
        found = []
        for m in reversed(self.movements):
            if m.act is Act.REINSTATED:
                back[m.meter, m.start, m.duration, m.taker] += m.wh
            elif m.act is Act.RETIRED and m.giver is not None:
                given = min(m.wh, back[m.meter, m.start, m.duration, m.giver])
                back[m.meter, m.start, m.duration, m.giver] -= given
                if m.wh > given:
                    found.append(
                        Retirement(m.meter, m.start, m.duration, m.giver, m.wh - given)
                    )  # fmt: skip
        return found[::-1]

    def used_escrows(self) -> dict[bytes, Escrow]:
        """The escrows in which units of these meters have been."""
        takers = {m.taker for m in self.movements}
        return {place: escrow for place, escrow in self._escrows.items() if place in takers}

    def _issuance(self, log: Log) -> None:
        self._issuing.add(word(log.data, 0))

    def _transfer(self, log: Log) -> None:
        self._moved(log, word(log.data, 0), word(log.data, 1))

    def _transfer_batch(self, log: Log) -> None:
        ids, values = word(log.data, 0) // WORD, word(log.data, 1) // WORD
        for index in range(1, word(log.data, ids) + 1):
            self._moved(log, word(log.data, ids + index), word(log.data, values + index))

    def _moved(self, log: Log, number: int, wh: int) -> None:
        sender, receiver = address_in(log.topics[2]), address_in(log.topics[3])
        if sender == _NOBODY:
            if number in self._issuing:
                self._issuing.remove(number)
                self._note(log, Act.ISSUED, number, wh, taker=receiver)
        elif receiver != _NOBODY:
            self._note(log, Act.MOVED, number, wh, giver=sender, taker=receiver)

    def _retirement(self, log: Log) -> None:
        number, wh = word(log.data, 0), word(log.data, 1)
        holder = address_in(log.topics[2])
        self._note(log, Act.RETIRED, number, wh, giver=holder, words=_bytes_at(log.data, 2))

    def _withdrawal(self, log: Log) -> None:
        holder, number = address_in(log.topics[1]), int.from_bytes(log.topics[2])
        reason = _bytes_at(log.data, 1)
        self._note(log, Act.WITHDRAWN, number, word(log.data, 0), giver=holder, words=reason)

    def _reinstatement(self, log: Log) -> None:
        holder, number = address_in(log.topics[1]), int.from_bytes(log.topics[2])
        reason = _bytes_at(log.data, 1)
        self._note(log, Act.REINSTATED, number, word(log.data, 0), taker=holder, words=reason)

    def _export(self, log: Log) -> None:
        holder, destination, message = address_in(log.topics[1]), log.topics[2], log.topics[3]
        number, wh = word(log.data, 0), word(log.data, 1)
        self._note(
            log, Act.EXPORTED, number, wh, giver=holder, words=message, destination=destination
        )

    def _return(self, log: Log) -> None:
        holder, message = address_in(log.topics[1]), log.topics[2]
        number, wh = word(log.data, 0), word(log.data, 1)
        self._note(log, Act.RESTORED, number, wh, taker=holder, words=message)

    def _escrow(self, log: Log) -> None:
        agent, holder, escrow = (address_in(topic) for topic in log.topics[1:])
        self._escrows[escrow] = Escrow(agent, holder, word(log.data, 0))

    def _keep(self, log: Log) -> None:
        meter = log.topics[1][-METER_BYTES:]
        if meter in self._known:
            self.kept[meter] = word(log.data, 0)

    def _record(self, log: Log) -> None:
        meter = log.topics[1][-METER_BYTES:]
        if meter in self._known:
            self.records.append(
                DirectRecord(
                    meter,
                    sequence=word(log.data, 0),
                    time_end=word(log.data, 1),
                    export_mwh=word(log.data, 2),
                    digest=log.data[3 * WORD : 4 * WORD],
                )
            )

    def _note(
        self,
        log: Log,
        act: Act,
        number: int,
        wh: int,
        *,
        giver: bytes | None = None,
        taker: bytes | None = None,
        words: bytes = b"",
        destination: bytes = b"",
    ) -> None:
        token = TokenId.of(number)
        if token.meter in self._known:
            at = log.tx_hash, log.block_number
            self.movements.append(Movement(act, *token, wh, giver, taker, words, destination, *at))


def address_in(topic: bytes) -> bytes:
    """The address in a topic of an event."""
    return topic[-len(_NOBODY) :]


def _bytes_at(data: bytes, index: int) -> bytes:
    """The bytes to which the word at `index` points."""
    place = word(data, index)
    size = int.from_bytes(data[place : place + WORD])
    return data[place + WORD : place + WORD + size]
