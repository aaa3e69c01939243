"""The node: its communities opened, kept, and put down again.

Nodes that share a database share its communities: each works for those it has a lease of, and takes
over those whose node has not renewed its own. Every write carries the lease, so a node that has
lost one can do no harm.
"""

import gc
import logging
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event as Signal
from threading import Lock, Thread
from time import time_ns
from typing import Protocol

from msgspec.structs import replace

from commonwatt.chain.account import Account
from commonwatt.chain.ledger import Ledger
from commonwatt.errors import CommonwattError, InputError
from commonwatt.node.backfill import Backfill
from commonwatt.node.folder import Publisher
from commonwatt.node.founding import FOUNDING_GAS, address_of, found, founding_of
from commonwatt.node.keystore import read_account
from commonwatt.node.mqtt.client import BrokerAddress
from commonwatt.node.mqtt.home.feed import HomeAssistant
from commonwatt.node.mqtt.home.settings import read_home_settings
from commonwatt.node.mqtt.intake import MqttIntake
from commonwatt.node.pipeline import Node, Terms
from commonwatt.node.registrar import Registrar, open_book
from commonwatt.node.service.clock import Clock, RecordClock, system_clock
from commonwatt.node.service.events import Events
from commonwatt.node.service.hosted import Hosted
from commonwatt.node.service.keeper import Keeper
from commonwatt.node.service.logs import CommunityLog
from commonwatt.node.service.members import (
    CommunityFile,
    community_key,
    community_of_file,
    currency_of,
    deposits_of,
    kept_of,
    limits_of_file,
    name_in_file,
    read_community_file,
    tariff_of,
)
from commonwatt.node.service.metrics import Metrics
from commonwatt.node.service.redaction import REDACTION, secrets_in
from commonwatt.node.service.settings import NodeSettings, read_node_file
from commonwatt.node.service.share import WHOLE, Share, require_enough
from commonwatt.node.service.watch import Watches
from commonwatt.node.store import Database, Lease, StandingLimits, Store, file_url
from commonwatt.node.treasury import LedgerTreasury
from commonwatt.node.wiring import DATABASE_FILE, NODE_FOLDER, OpenChain, open_chain
from commonwatt.quantity import parse_time
from commonwatt.statement.community import Community

SALTS_NOTE = "leaf salts"
SECRET_BYTES = 32
LEASE_S = 15.0
"""A node that says nothing for so long has lost its communities."""
RENEW_S = 4.0
"""How often a lease is renewed, and communities without a node are looked for."""

_log = logging.getLogger("commonwatt.service")


class ServiceUnusable(InputError):
    """Settings that contradict each other, or what the node's folder holds."""


class _Talker(Protocol):
    """Works in threads of its own, from `start` to `stop`."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


@dataclass(slots=True)
class _Tenure:
    """A community this node works for."""

    lease: Lease
    hosted: Hosted
    chain: OpenChain
    keeper: Keeper
    talkers: tuple[_Talker, ...]
    """What takes in and tells over MQTT, and writes what was published before."""

    def start(self) -> None:
        """Close intervals when they are due, take in and tell."""
        self.keeper.start()
        for talker in self.talkers:
            talker.start()

    def stop(self) -> None:
        """The other way round."""
        for talker in reversed(self.talkers):
            talker.stop()
        self.keeper.stop()


class Service:
    """All communities of one node."""

    def __init__(self, folder: Path, share: Share = WHOLE) -> None:
        """Read the settings; nothing is opened yet.

        Args:
            folder: holds `node.toml`, the communities' files, and everything the node keeps.
            share: which of the communities are worked for here; all of them unless given.

        Raises:
            NodeFileUnusable, CommunityFileUnusable, ServiceUnusable: naming what to mend.
        """
        self.folder, self.share = folder, share
        self.settings: NodeSettings = read_node_file(folder)
        self.data = folder / self.settings.data
        """Where the communities' files and what is published are."""
        paths = [self.data / name for name in self.settings.communities]
        require_enough(share.workers, len(paths), self.settings.listen)
        own = {path: read_community_file(path) for path in share.own(paths)}
        self.files = list(own.values())
        """Of the communities that are worked for here; without the meters, once they are."""
        self._paths = {file.name: path for path, file in own.items()}
        names = [own[path].name if path in own else name_in_file(path) for path in paths]
        if len(set(names)) != len(names) or not names:
            raise ServiceUnusable(f"{folder}: communities {names}: each needs a name of its own")
        self.names = names
        """Of all the node's communities, in the order of the settings."""
        urls = (self.settings.database, self.settings.mqtt, self.settings.chain.url)
        REDACTION.hide(secret for url in urls for secret in secrets_in(url))
        self.metrics = Metrics()
        """For whoever watches this node; `metrics_text` is all of it."""
        self.clock = self._clock()
        self._tenures: dict[str, _Tenure] = {}
        self._lock = Lock()
        self._store: Store | None = None
        self._stopping = Signal()
        self._thread = Thread(target=self._renew, name="leases", daemon=True)
        self._is_started = False

    def _clock(self) -> Clock:
        if self.settings.clock == "system":
            return system_clock
        return RecordClock(min(parse_time(file.first_start) for file in self.files))

    @property
    def name(self) -> str:
        """As leases have it."""
        return self.share.name_of(self.settings.name)

    @property
    def communities(self) -> Mapping[str, Hosted]:
        """Those this node works for, by name."""
        return {name: tenure.hosted for name, tenure in self._tenures.items()}

    @property
    def keepers(self) -> Mapping[str, Keeper]:
        """By community."""
        return {name: tenure.keeper for name, tenure in self._tenures.items()}

    @property
    def store(self) -> Store:
        """The node's database."""
        if self._store is None:
            raise ServiceUnusable("the service is not open")
        return self._store

    def open(self) -> None:
        """Open the database and the communities that no other node works for.

        What is not founded is founded, and all else goes on where it was left.

        Raises:
            ChainUnreachable: a chain is away; a community cannot start without having seen it.
            DatabaseUnusable: the database is.
        """
        default = file_url(self.folder / DATABASE_FILE)
        self._store = Store(self.settings.database or default)
        try:
            for file in self.files:
                self._take_over(file)
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """Begin to close intervals when they are due, and to look after the leases."""
        self._is_started = True
        for tenure in self._tenures.values():
            tenure.start()
        self._thread.start()

    def _take_over(self, file: CommunityFile) -> None:
        """Work for a community, unless another node does."""
        lease = self.store.leases.acquire(community_key(file.name), self.name, LEASE_S)
        if lease is None:
            return
        try:
            tenure = self._host(file if file.meters else self._read_again(file), lease)
        except BaseException:
            # Others may be able to; and what went wrong is to be told, not that this did, too.
            with suppress(CommonwattError):
                self.store.leases.release(lease)
            raise
        # The meters are in the community now; as text again they were a tenth of the memory.
        self.files[self.files.index(file)] = replace(file, meters=())
        if self._is_started:
            tenure.start()
            _log.info("%s: taken over", file.name)
        self._tenures = {**self._tenures, file.name: tenure}

    def _read_again(self, file: CommunityFile) -> CommunityFile:
        return read_community_file(self._paths[file.name])

    def _renew(self) -> None:
        """Keep what we have, and take over what nobody has."""
        while not self._stopping.wait(RENEW_S):
            for file in self.files:
                with self._lock:
                    if not self._stopping.is_set():
                        self._look_after(file)

    def _look_after(self, file: CommunityFile) -> None:
        tenure = self._tenures.get(file.name)
        try:
            if tenure is None:
                self._take_over(file)
                return
            renewed = self.store.leases.renew(tenure.lease, LEASE_S)
        except CommonwattError as error:
            # Without database or disk nothing can be written, so nothing can go wrong meanwhile.
            _log.warning("%s: %s", file.name, error)
            return
        if renewed is None:
            _log.warning("%s: another node works for it now", file.name)
            self._put_down(file.name)
        elif tenure.hosted.is_in_doubt or tenure.keeper.failure is not None:
            # What memory has may not be what is kept: begin again from what is kept, next time.
            _log.warning("%s: begun again from the database", file.name)
            self._put_down(file.name)
        else:
            tenure.lease = renewed

    def _put_down(self, name: str) -> None:
        tenure = self._tenures[name]
        # Whoever froze what was there when the node began: part of it is garbage now.
        gc.unfreeze()
        self._tenures = {own: kept for own, kept in self._tenures.items() if own != name}
        tenure.stop()
        tenure.hosted.book.close()
        tenure.chain.close()

    def _host(self, file: CommunityFile, lease: Lease) -> _Tenure:
        self._require_meters(file, lease)
        folder = self.data / file.name
        (folder / NODE_FOLDER).mkdir(parents=True, exist_ok=True)
        account = read_account(self.folder / self.settings.chain.key)
        REDACTION.hide((account.key,))
        chain = open_chain(self.settings.chain.url, folder, self.clock)
        try:
            hosted = self._at_work(file, folder, account, chain, lease)
        except BaseException:
            chain.close()
            raise
        keeper = Keeper(hosted, self.clock)
        hosted.on_records = keeper.wake
        hosted.watch = Watches(self.metrics.watch(file.name), CommunityLog(file.name))
        return _Tenure(lease, hosted, chain, keeper, tuple(self._talkers(hosted, lease)))

    def _talkers(self, hosted: Hosted, lease: Lease) -> Iterator[_Talker]:
        followers: list[_Talker] = []
        if self.settings.mqtt is not None:
            broker = BrokerAddress.parse(self.settings.mqtt)
            yield MqttIntake(hosted, broker)
            homes = read_home_settings(hosted.folder)
            if homes is not None:
                followers.append(HomeAssistant(hosted, broker, homes))
        database = self.store.database(community_key(hosted.name), lease)
        yield Backfill(
            hosted.community,
            _secret(database),
            database=database,
            book=hosted.book,
            folder=hosted.folder,
            then=followers,
        )

    def _at_work(
        self,
        file: CommunityFile,
        folder: Path,
        account: Account,
        chain: OpenChain,
        lease: Lease,
    ) -> Hosted:
        database = self.store.database(community_key(file.name), lease)
        founding = founding_of(
            chain.connection,
            database,
            account=account,
            supplier=_account(file.supplier),
            grid_operator=_account(file.grid_operator),
            currency=currency_of(file),
        )
        community = community_of_file(file, address_of(chain.connection, founding))
        _require_same_ledger(file, community)
        self._require_founded(file, database)
        kept = kept_of(file, community)
        ledger = found(chain.connection, database, founding, community, deposits_of(file), kept)
        return self._hosted(file, folder, account, community, database, ledger, kept)

    def _require_meters(self, file: CommunityFile, lease: Lease) -> None:
        """Meters are fixed at the founding; a test bed may do without."""
        if file.meters or self.settings.clock == "records":
            return
        if self.store.database(community_key(file.name), lease).note(FOUNDING_GAS) is None:
            raise ServiceUnusable(
                f"community {file.name}: no meter is in it, and after the founding none can be "
                f"added; add each with commonwatt init {shlex.quote(str(self.folder))} "
                f"--name {file.name} --meter FILE.json --member N"
            )

    def _require_founded(self, file: CommunityFile, database: Database) -> None:
        """One account founds one after another; several workers would get in each other's way."""
        is_shared = self.share != WHOLE and self.settings.chain.url is not None
        if is_shared and database.note(FOUNDING_GAS) is None:
            raise ServiceUnusable(
                f"community {file.name}: not founded yet; start commonwatt serve once without "
                "--workers, it founds one community after another"
            )

    def _hosted(  # noqa: PLR0917 - what a community is made of
        self,
        file: CommunityFile,
        folder: Path,
        account: Account,
        community: Community,
        database: Database,
        ledger: Ledger,
        kept: Mapping[bytes, int],
    ) -> Hosted:
        book = open_book(database.scope, community, account.address_bytes, ledger.lifetime_s())
        registrar = Registrar(book, account, community, kept, folder)
        publisher = Publisher(folder)
        node = Node(
            community,
            _secret(database),
            database=database,
            treasury=LedgerTreasury(ledger, account, self.settings.chain.confirmations),
            publisher=publisher,
            now=self.clock,
            closed=lambda closed: hosted.hear(closed),  # noqa: PLW0108 - it is not there yet
        )
        hosted = Hosted(
            file.name,
            folder,
            node=node,
            ledger=ledger,
            registrar=registrar,
            book=book,
            publisher=publisher,
            terms=Terms(tariff_of(file), limits_of_file(file, community)),
            limits=StandingLimits(database.scope),
            clock=self.clock,
            events=Events(time_ns() // 1_000_000),
        )
        node.recall()
        if isinstance(self.clock, RecordClock):
            self.clock.reach(node.interval.start)
        return hosted

    def close(self) -> None:
        """Stop, publish, give the leases back, let go of everything; may be called twice."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            for name, tenure in list(self._tenures.items()):
                tenure.stop()
                tenure.hosted.publish()
                self._put_down(name)
                self.store.leases.release(tenure.lease)
        if self._store is not None:
            self._store.close()
            self._store = None


def _account(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _secret(database: Database) -> bytes:
    """What salts the community's leaves: drawn once, kept for ever."""
    if database.note(SALTS_NOTE) is None:
        database.take_note(SALTS_NOTE, os.urandom(SECRET_BYTES))
    found = database.note(SALTS_NOTE) or b""
    REDACTION.hide((found,))
    return found


def _require_same_ledger(file: CommunityFile, community: Community) -> None:
    """The meters' opening records must name the ledger that the founding makes."""
    for registration in community.registrations:
        said = registration.opening_record.ledger
        if said != community.chain.ledger:
            raise ServiceUnusable(
                f"community {file.name}: meter {registration.meter.hex()} was set up for ledger "
                f"{said.hex()}, this chain and key make {community.chain.ledger.hex()}: "
                "commonwatt init --show says which to use"
            )
