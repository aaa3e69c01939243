"""Communities on an embedded chain that close made-up intervals, as like real ones as gas cares.

What a close costs depends on its bytes and on the slots it writes, not on how its statement came
about. So the amounts are drawn at random between a household's nothing and a restaurant's noon,
and the roots and hashes stand for sections that nobody made.
"""

import random
from collections.abc import Sequence
from hashlib import sha256

from commonwatt.audit.facts import SUPPLIER_LANE
from commonwatt.chain.connection import Account, Connection, Receipt
from commonwatt.chain.embedded import EmbeddedChain
from commonwatt.chain.founding import deploy
from commonwatt.chain.ledger import Ledger
from commonwatt.node.plan import EURO, TARIFF
from commonwatt.node.wiring import demonstration_account
from commonwatt.statement.close import packed_deltas
from commonwatt.statement.header import HEADER_VERSION, Header, SectionRoot

INTERVAL_S = 900
FIRST_START = 1_466_461_800
"""2016-06-20T22:30:00Z: the first of six intervals whose units share a slot of their holder."""

LOCAL_PRICE = (TARIFF.retail + TARIFF.feed_in) // 2
MEAN_TAKEN_WH, MOST_GIVEN_WH = 150.0, 2_000
PRODUCERS_PERCENT, LOCAL_PERCENT, PERCENT = 30, 50, 100
"""At a summer's noon; at night nobody gives."""

ADVANCE, RESERVE = EURO.amount("10"), EURO.amount("100")
NOBODY = SectionRoot(0, sha256(b"").digest())


class Closer:
    """Closes one community's intervals, one after another, with random amounts."""

    def __init__(self, ledger: Ledger, account: Account, seed: int = 0) -> None:
        """Go on where the community stands; `account` is its closer."""
        self.ledger = ledger
        self._account = account
        self.producers_percent = PRODUCERS_PERCENT
        self._random = random.Random(seed)  # noqa: S311 - amounts, not secrets
        self._roll = ledger.roll()
        self._balances = list(ledger.balances())
        self._supplier = ledger.balance(SUPPLIER_LANE)
        start, duration, self._previous, _ = ledger.last()
        self.start = start + duration or FIRST_START
        self.duration = duration or INTERVAL_S

    def advance(self) -> Receipt:
        """Close an interval in which the supplier gives everybody 10 euro to begin with."""
        return self._pay([ADVANCE] * len(self._balances), 0, NOBODY)[1]

    def close(self, certificates: SectionRoot = NOBODY) -> tuple[bytes, Receipt]:
        """Close the next interval.

        Returns:
            The statement's header, 488 bytes, and the receipt.
        """
        deltas, grid_in = [], 0
        for balance in self._balances:
            delta, fee = self._amounts()
            if balance + delta < 0:
                delta = fee = 0
            deltas.append(delta)
            grid_in += fee
        return self._pay(deltas, grid_in, certificates)

    def _amounts(self) -> tuple[int, int]:
        """What one member gains or loses, and the grid fee in it."""
        draw = self._random
        local = draw.randrange(PERCENT) < LOCAL_PERCENT
        if draw.randrange(PERCENT) < self.producers_percent:
            return draw.randrange(MOST_GIVEN_WH) * (LOCAL_PRICE if local else TARIFF.feed_in), 0
        taken_wh = int(draw.expovariate(1 / MEAN_TAKEN_WH))
        price = LOCAL_PRICE if local else TARIFF.retail
        fee = taken_wh * (TARIFF.fee_local if local else TARIFF.fee_supplier)
        return -taken_wh * price - fee, fee

    def _pay(
        self, deltas: Sequence[int], grid_in: int, certificates: SectionRoot
    ) -> tuple[bytes, Receipt]:
        net = -sum(deltas) - grid_in
        # A supplier that both sells and buys shows both sides; only their difference is given.
        gross = abs(net) + self._random.randrange(EURO.amount("1"))
        supplier_in, supplier_out = (gross, gross - net) if net > 0 else (gross + net, gross)
        self._supplier += net
        if self._supplier < 0:
            raise RuntimeError("the made-up supplier has run out of money: raise RESERVE")
        words = packed_deltas(deltas)
        header = self._header(words, (supplier_in, supplier_out, grid_in), certificates)
        receipt = self.ledger.close(self._account, header.encode(), words)
        self._balances = [b + d for b, d in zip(self._balances, deltas, strict=True)]
        self.start += self.duration
        self._previous = header.anchor
        return header.encode(), receipt

    def _header(
        self, words: Sequence[bytes], wide: tuple[int, int, int], certificates: SectionRoot
    ) -> Header:
        draw, members = self._random, len(self._balances)
        retired_wh, free_wh = draw.randrange(10**5), draw.randrange(10**5)

        def root(size: int) -> SectionRoot:
            return SectionRoot(size, draw.randbytes(32))

        return Header(
            version=HEADER_VERSION,
            rule=1,
            decimals=EURO.decimals,
            flags=0,
            ledger=self.ledger.ledger_id,
            retail=TARIFF.retail,
            feed_in=TARIFF.feed_in,
            fee_local=TARIFF.fee_local,
            fee_supplier=TARIFF.fee_supplier,
            local_price=LOCAL_PRICE,
            imported_wh=draw.randrange(10**6),
            exported_wh=draw.randrange(10**6),
            local_wh=draw.randrange(10**6),
            issued_wh=retired_wh + free_wh,
            retired_wh=retired_wh,
            free_wh=free_wh,
            supplier_in=wide[0],
            supplier_out=wide[1],
            grid_in=wide[2],
            members_owe=0,
            supplier_owes=0,
            flows=self.ledger.flows(),
            deltas_hash=sha256(b"".join(words)).digest(),
            roll=self._roll,
            inputs_hash=draw.randbytes(32),
            previous=self._previous or bytes(32),
            records=root(members),
            positions=root(members),
            trades=root(members),
            adjustments=NOBODY,
            community=self.ledger.addresses.settlement,
            start=self.start,
            duration=self.duration,
            certificates=certificates,
        )


def found(chain: EmbeddedChain, members: int) -> tuple[Ledger, Account]:
    """A new community of so many members, its supplier's lane full; one account is everything."""
    account = demonstration_account("operator")
    ledger = deploy(
        Connection.embedded(chain),
        issuer=account,
        operator=account.address_bytes,
        supplier=demonstration_account("supplier").address_bytes,
        grid_operator=demonstration_account("grid operator").address_bytes,
    )
    ledger.join(account, [sha256(b"member/%d" % n).digest()[-20:] for n in range(members)])
    funds = members * 10 * ADVANCE + RESERVE
    ledger.mint(account, [(account.address_bytes, funds)])
    ledger.deposit(account, SUPPLIER_LANE, funds)
    return ledger, account
