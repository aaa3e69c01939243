"""A neighbourhood's days from signed meters to paid sellers, on one machine.

`Demonstration` founds a community for a neighbourhood, lets its simulated meters sign, and closes
interval after interval as any node would. It can be killed at any moment and gone on with.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from commonwatt.audit.certificates import BookAudit, audit_all
from commonwatt.audit.facts import SUPPLIER_LANE
from commonwatt.audit.recompute import Audit
from commonwatt.chain.account import Account, signer_of
from commonwatt.chain.founding import Deposit, Founding
from commonwatt.chain.ledger import Ledger
from commonwatt.meter.acceptance import Accepted, Duplicate
from commonwatt.meter.registration import Registration, Role
from commonwatt.microgrid import Neighbourhood, flows_of
from commonwatt.node.claims import Claimed, claim_best_run
from commonwatt.node.errors import FolderUnusable
from commonwatt.node.fleet import Fleet
from commonwatt.node.folder import FolderFiles, Publisher
from commonwatt.node.founding import FOUNDING_GAS, address_of, found, founding_of
from commonwatt.node.meters_log import MetersLog
from commonwatt.node.pipeline import Node, Terms
from commonwatt.node.plan import (
    EURO,
    GRACE_S,
    TARIFF,
    Plan,
    advance_of,
    limits_of,
    neighbourhood_of,
    storage_permille_of,
    supplier_advance_of,
)
from commonwatt.node.registrar import Registrar, open_book
from commonwatt.node.store import ONLY_COMMUNITY, Store, file_url
from commonwatt.node.tally import Tally
from commonwatt.node.treasury import LedgerTreasury
from commonwatt.node.wiring import (
    DATABASE_FILE,
    NODE_FOLDER,
    OpenChain,
    SimulatedClock,
    demonstration_account,
    open_chain,
    read_key,
)
from commonwatt.quantity import Interval
from commonwatt.statement.community import Community

METERS_LOG = "meters.log"
Told = Callable[[str, int, int], None]
"""Hears of progress: what is being done, how much of it, of how much."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished run."""

    neighbourhood: Neighbourhood
    community: Community
    audit: Audit
    booked: BookAudit
    """What the book of certificates came to."""
    tally: Tally
    """Sums over all intervals, as the audit recomputed them."""
    claimed: Claimed
    chain_name: str
    is_embedded: bool
    transactions: int
    gas_total: int
    paid_total: int
    """Units that changed lanes, over all intervals."""
    close_seconds: tuple[float, ...]


class Demonstration:
    """One run in one folder."""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        told: Told = lambda *_: None,
        prepare: Callable[[Plan, Path], None] = lambda *_: None,
    ) -> None:
        """Read the neighbourhood and the key, then open the database.

        Args:
            plan: what to run.
            folder: where everything is kept and published.
            told: hears of progress.
            prepare: makes the folder ready, once nothing is wrong with the input.
        """
        self._plan, self._folder, self._told = plan, folder, told
        self.neighbourhood = neighbourhood_of(plan)
        self._clock = SimulatedClock(self.neighbourhood.start)
        self._account = self._operator()
        prepare(plan, folder)
        _make_folder(folder / NODE_FOLDER)
        self._store = Store(file_url(folder / NODE_FOLDER / DATABASE_FILE))
        self._database = self._store.database(ONLY_COMMUNITY)

    def _operator(self) -> Account:
        if self._plan.key_file is not None:
            return read_key(Path(self._plan.key_file))
        return demonstration_account("operator")

    def run(self, *, shuffled_by: int | None = None) -> Outcome:
        """Found, close every interval, publish, claim, audit.

        Args:
            shuffled_by: a seed to bring each interval's records into another order.
        """
        chain = open_chain(self._plan.chain_url, self._folder, self._clock)
        try:
            outcome = self._run(chain, shuffled_by)
        finally:
            chain.close()
            self._store.close()
        return outcome

    def _run(self, chain: OpenChain, shuffled_by: int | None) -> Outcome:
        founding = self._founding(chain)
        fleet = Fleet(self.neighbourhood, address_of(chain.connection, founding).ledger)
        community = self._community(chain, founding, fleet.registrations)
        ledger = self._found(chain, founding, community)
        secret = sha256(b"secret/" + self.neighbourhood.name.encode()).digest()
        book = open_book(
            self._database.scope, community, self._account.address_bytes, founding.lifetime_s
        )
        kept = self._kept(community)
        registrar = Registrar(book, self._account, community, kept, self._folder)
        node = Node(
            community,
            secret,
            database=self._database,
            treasury=LedgerTreasury(ledger, self._account),
            publisher=Publisher(self._folder),
            now=self._clock,
            closed=registrar.enter,
        )
        self._close_all(node, fleet, shuffled_by, lambda: registrar.publish(ledger))
        node.publish()
        registrar.publish(ledger)
        book.close()
        self._told("claiming certificates", 0, 1)
        generator = self._claimant(community)
        claimed = claim_best_run(ledger, self._account, FolderFiles(self._folder), generator)
        self._database.take_note("claim gas", claimed.gas.to_bytes(16))
        self._told("auditing", 0, 1)
        tally = Tally(community)
        files, facts = FolderFiles(self._folder), ledger.facts()
        audited, booked = audit_all(files, facts, signer_of, tally)
        rows = self._database.statements()
        once = sum(
            int.from_bytes(self._database.note(key) or b"") for key in (FOUNDING_GAS, "claim gas")
        )
        return Outcome(
            neighbourhood=self.neighbourhood,
            community=community,
            audit=audited,
            booked=booked,
            tally=tally,
            claimed=claimed,
            chain_name=chain.name,
            is_embedded=chain.embedded is not None,
            transactions=chain.connection.nonce(self._account) - founding.first_nonce,
            gas_total=once + sum(row.gas or 0 for row in rows),
            paid_total=audited.paid_total,
            close_seconds=tuple(row.seconds or 0.0 for row in rows),
        )

    def _founding(self, chain: OpenChain) -> Founding:
        return founding_of(
            chain.connection,
            self._database,
            account=self._account,
            supplier=demonstration_account("supplier").address_bytes,
            grid_operator=demonstration_account("grid operator").address_bytes,
            currency=EURO,
        )

    def _community(
        self, chain: OpenChain, founding: Founding, registrations: tuple[Registration, ...]
    ) -> Community:
        names = (f"{self.neighbourhood.name}/{n}" for n in range(len(self.neighbourhood.homes)))
        return Community(
            chain=address_of(chain.connection, founding),
            currency=EURO,
            interval_s=self.neighbourhood.interval_s,
            grace_s=GRACE_S,
            market=self._plan.market,
            accounts=tuple(demonstration_account(name).address_bytes for name in names),
            registrations=registrations,
            supplier=founding.supplier,
            grid_operator=founding.grid_operator,
            first_start=self.neighbourhood.start,
            storage_permille=storage_permille_of(self.neighbourhood),
        )

    def _found(self, chain: OpenChain, founding: Founding, community: Community) -> Ledger:
        deposits = [
            Deposit(lane, advance_of(self.neighbourhood, home))
            for lane, home in enumerate(self.neighbourhood.homes)
        ]
        deposits.append(Deposit(SUPPLIER_LANE, supplier_advance_of(self.neighbourhood)))
        return found(
            chain.connection,
            self._database,
            founding,
            community,
            deposits,
            self._kept(community),
            lambda done, total: self._told("founding the community", done, total),
        )

    def _close_all(
        self,
        node: Node,
        fleet: Fleet,
        shuffled_by: int | None,
        day_over: Callable[[], None],
    ) -> None:
        """Every interval: meters sign, the node acknowledges, closes, pays."""
        total = self.neighbourhood.intervals
        needs_limits = node.community.charter.rule.needs_limits
        limits = limits_of(self.neighbourhood) if needs_limits else ()
        rows = self._database.statements()
        if rows:
            # A statement that never reached the chain is paid at its own time, as it would have.
            interval = Interval(rows[-1].start, self.neighbourhood.interval_s)
            self._clock.now = interval.end + GRACE_S
        done = node.catch_up()
        log = MetersLog(self._folder / NODE_FOLDER / METERS_LOG)
        log.require_kept(self._database)
        fleet.skip_to(done)
        for index in range(done, total):
            if index and node.begins_day:
                day_over()
            end = node.interval.end
            batch = fleet.sign(None if shuffled_by is None else shuffled_by + index)
            self._clock.now = end
            verdicts = node.receive(batch)
            kept = [v.signed for v in verdicts if isinstance(v, Accepted | Duplicate)]
            log.append(end, kept)
            self._clock.now = end + node.community.grace_s
            node.close(Terms(TARIFF, limits))
            self._told("closing intervals", index + 1, total)

    def _claimant(self, community: Community) -> Registration | None:
        """The generator that gives the street the most, of those with no battery if there are any.

        Its owner turns free units into tokens, which those out of a battery cannot become.
        """
        generators = [r for r in community.registrations if r.role is Role.GENERATION]
        homes = self.neighbourhood.homes

        def rank(registration: Registration) -> tuple[bool, int]:
            home = homes[registration.member]
            given = int(flows_of(self.neighbourhood, home).export_mwh.sum())
            return home.battery is None, given

        return max(generators, key=rank, default=None)

    def _kept(self, community: Community) -> dict[bytes, int]:
        """Generators whose certificates are kept in the book: all others."""
        claimant = self._claimant(community)
        return {
            r.meter: community.first_start
            for r in community.registrations
            if r.role is Role.GENERATION and r is not claimant
        }


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderUnusable(
            f"{folder}: cannot be made ({error.strerror}); choose another directory with --out"
        ) from None
