"""A roof that signs, is certified, and claims."""

import random

from bench.community import FIRST_START, INTERVAL_S, Closer
from commonwatt.audit.facts import RegisteredMeter
from commonwatt.certificate.issue import CERTIFICATE_LEAF_BYTES, Certificate
from commonwatt.chain.connection import Account
from commonwatt.chain.ledger import Ledger
from commonwatt.chain.production import RUN_MAX, Production
from commonwatt.merkle import Tree
from commonwatt.meter.keys import MeterKey
from commonwatt.meter.record import NO_PREVIOUS, Kind, Quality, Record, SignedRecord
from commonwatt.meter.registration import SOLAR_ROOFTOP, Role
from commonwatt.quantity import MWH_PER_WH, SECONDS_PER_DAY
from commonwatt.statement.header import SectionRoot, seal_of

LEAVES = 64
RATED_W, MOST_MADE_WH = 10_000, 2_500


class Generator:
    """A meter on a roof, certified among 63 others; it remembers what its claims need."""

    def __init__(self, ledger: Ledger, account: Account) -> None:
        """Install it at the first member's house."""
        self._ledger, self._account = ledger, account
        self._random = random.Random(0)  # noqa: S311 - amounts, not secrets
        self._key = MeterKey.from_seed(b"bench/roof")
        self._time_end, self._sequence, self._export_mwh = FIRST_START, 0, 1_234_567_890
        self.signed = [self._sign(NO_PREVIOUS)]
        self.productions: list[Production] = []
        meter = RegisteredMeter(
            public_key=self._key.public_key,
            member=0,
            role=Role.GENERATION,
            source=SOLAR_ROOFTOP,
            rated_w=RATED_W,
            first_day=FIRST_START // SECONDS_PER_DAY,
            zone=b"DE-LU".ljust(16, b"\0"),
            direct=False,
            opening=self.signed[0].digest,
        )
        ledger.register_meters([meter], operator=account, issuer=account)

    def produce(self, closer: Closer) -> None:
        """Sign one interval and have it closed."""
        draw = self._random
        made_wh = draw.randrange(2, MOST_MADE_WH)
        retired_wh = draw.randrange(made_wh)
        self._sequence += 1
        self._time_end += closer.duration
        self._export_mwh += made_wh * MWH_PER_WH
        signed = self._sign(self.signed[-1].digest)
        leaf = Certificate(
            self._key.meter, 0, made_wh, retired_wh, made_wh - retired_wh, signed.digest
        )
        leaves = [draw.randbytes(CERTIFICATE_LEAF_BYTES) for _ in range(LEAVES)]
        index = draw.randrange(LEAVES)
        leaves[index] = leaf.encode()
        tree = Tree(leaves)
        header, _ = closer.close(SectionRoot(tree.size, tree.root))
        self.signed.append(signed)
        self.productions.append(
            Production(
                record=signed.record,
                seal=seal_of(header),
                index=index,
                path=tuple(tree.path(index)),
                issued_wh=made_wh,
                free_wh=made_wh - retired_wh,
            )
        )

    def claim(self, at: int) -> int:
        """Claim one interval; the gas."""
        before, signed, production = self.signed[at], self.signed[at + 1], self.productions[at]
        receipt = self._ledger.claim(self._account, before.record, production, signed.signature)
        return receipt.gas_used

    def claim_run(self, at: int) -> int:
        """Claim as many from one on as a call takes; the gas of all."""
        steps, last = self.productions[at : at + RUN_MAX], self.signed[at + RUN_MAX]
        before = self.signed[at].record
        return self._ledger.claim_run(self._account, before, steps, last.signature).gas_used

    def _sign(self, previous: bytes) -> SignedRecord:
        record = Record(
            version=1,
            kind=Kind.REGISTERS,
            quality=Quality.MEASURED,
            ledger=self._ledger.ledger_id,
            meter=self._key.meter,
            sequence=self._sequence,
            time_end=self._time_end,
            duration=INTERVAL_S,
            import_mwh=self._random.randrange(10**9),
            export_mwh=self._export_mwh,
            previous=previous,
        )
        return self._key.sign(record.encode())
