"""What one running API remembers: who is signed in, who asked how often, what is under way."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Literal

from commonwatt.node.service.hosted import Hosted, Status
from commonwatt.node.service.members import community_key
from commonwatt.node.store import Answers, Database, Quarantine
from commonwatt.web.api import limits, shapes
from commonwatt.web.api.limits import Buckets, Limits, Shares
from commonwatt.web.api.ports import Service
from commonwatt.web.api.render import prepared
from commonwatt.web.api.roles import Role
from commonwatt.web.api.route import Prepared
from commonwatt.web.api.sessions import Sessions
from commonwatt.web.api.settings import ApiSettings

STATUS_S = 1.0
"""How it is doing is looked up so often at most, however many ask."""
_ROLES: tuple[Literal["grid", "generation", "storage"], ...] = ("grid", "generation", "storage")


@dataclass(slots=True)
class _View:
    """What is worked out once for a community."""

    hosted: Hosted
    meters: tuple[shapes.MeterOf, ...]
    status: Status
    looked_at: float
    document: Prepared | None = None
    """The community's own, for the open interval `document_of`."""
    document_of: int = -1


class Api:
    """Everything beside the routes; one for each application."""

    def __init__(
        self,
        service: Service,
        settings: ApiSettings,
        bounds: Limits,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is under way.

        Args:
            service: the node.
            settings: the operator's.
            bounds: what a stranger may use up.
            clock: UTC seconds.
            steady: seconds that only go forward.
        """
        self.service, self.settings, self.bounds = service, settings, bounds
        self.clock, self.steady = clock, steady
        self.elsewhere: Callable[[str], int | None] = lambda _: None
        """At which port another worker of this node works for a community."""
        self.sessions = Sessions(settings, clock)
        rates = settings.rates
        self.by_address = Buckets(rates.requests_per_s, rates.requests_at_once, steady)
        self.by_actor = Buckets(rates.actor_per_s, rates.actor_at_once, steady)
        self.records = Buckets(rates.records_per_s, rates.records_at_once, steady)
        self.refused = Buckets(rates.refused_per_s, rates.refused_at_once, steady)
        self.sign_ins = Buckets(rates.sign_ins_per_s, rates.sign_ins_at_once, steady)
        self.bodies = Shares(bounds.bodies_bytes, bounds.bodies_bytes_per_address)
        self.streams = Shares(bounds.streams, bounds.streams_per_address)
        self.big_answers = Shares(bounds.big_answers, bounds.big_answers)
        self.requests = Shares(bounds.requests_at_once, bounds.requests_at_once)
        self.description = Prepared(b"{}", b"")
        """Of the API, once the application is made."""
        self.acting = Lock()
        """Held while the book does an action and is published: both are one's at a time."""
        self.workers = self._threads()
        self._is_closed = False
        self._views: dict[str, _View] = {}
        self._lock = Lock()

    @staticmethod
    def _threads() -> ThreadPoolExecutor:
        return ThreadPoolExecutor(limits.WORKERS, "api")

    def open(self) -> None:
        """Have threads again, after they ended."""
        if self._is_closed:
            self.workers, self._is_closed = self._threads(), False

    def close(self) -> None:
        """Let the threads end."""
        self._is_closed = True
        self.workers.shutdown(wait=True, cancel_futures=True)

    # A community's rows

    def answers(self, name: str) -> Answers:
        """Requests that were answered."""
        return self.service.store.answers(community_key(name))

    def quarantine(self, name: str) -> Quarantine:
        """Refused records."""
        return self.service.store.quarantine(community_key(name))

    def database(self, name: str) -> Database:
        """Its memory; the API keeps webhooks there."""
        return self.service.store.database(community_key(name))

    # What is worked out once

    def status(self, hosted: Hosted) -> Status:
        """How a community was doing within the last second."""
        return self._view(hosted).status

    def meters(self, hosted: Hosted) -> tuple[shapes.MeterOf, ...]:
        """Its meters, as everybody may know them, in the order of their registration."""
        return self._view(hosted).meters

    def document(self, hosted: Hosted) -> Prepared:
        """The community's own document."""
        view = self._view(hosted)
        if view.document is None or view.document_of != view.status.open_start:
            document = prepared(_community(hosted, view))
            # Told apart by its interval, so that nobody sees one of another.
            view.document, view.document_of = document, view.status.open_start
            return document
        return view.document

    def _view(self, hosted: Hosted) -> _View:
        now = self.steady()
        with self._lock:
            view = self._views.get(hosted.name)
            if view is None or view.hosted is not hosted:
                view = _View(hosted, _meters(hosted), hosted.status(), now)
                self._views[hosted.name] = view
            elif now - view.looked_at >= STATUS_S:
                view.status, view.looked_at = hosted.status(), now
            return view

    def memberships(
        self,
        roles_of: Callable[[Hosted], frozenset[Role]],
        members_of: Callable[[Hosted], frozenset[int]],
    ) -> tuple[shapes.Membership, ...]:
        """What somebody is in each community; those in which it is nobody are left out."""
        found = []
        for name, hosted in sorted(self.service.communities.items()):
            roles = sorted(role.value for role in roles_of(hosted) if role is not Role.PUBLIC)
            if roles:
                members = tuple(sorted(members_of(hosted)))
                found.append(shapes.Membership(community=name, members=members, roles=tuple(roles)))
        return tuple(found)


def _meters(hosted: Hosted) -> tuple[shapes.MeterOf, ...]:
    return tuple(
        shapes.MeterOf(meter=r.meter.hex(), member=r.member, role=_ROLES[r.role])
        for r in hosted.community.registrations
    )


def _community(hosted: Hosted, view: _View) -> shapes.Community:
    community = hosted.community
    chain = community.chain
    return shapes.Community(
        name=hosted.name,
        ledger=chain.ledger.hex(),
        interval_s=community.interval_s,
        grace_s=community.grace_s,
        open_interval=view.status.open_start,
        first_start=community.first_start,
        currency=community.currency.code,
        decimals=community.currency.decimals,
        rule=community.market.rule,
        chain_id=chain.chain_id,
        registry=chain.registry.hex(),
        settlement=chain.settlement.hex(),
        certificate=chain.certificate.hex(),
        token=chain.token.hex(),
        book=chain.book.hex(),
        members=len(community.accounts),
        meters=view.meters,
    )
