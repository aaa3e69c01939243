"""The table of routes: every cell of it, in the code, in the description and in the docs."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from certificates import FORGER, ISSUER, NEIGHBOUR, PRODUCER
from commonwatt.certificate.actions import Retire, Transfer
from commonwatt.certificate.bundle import Status
from commonwatt.chain.account import Account
from commonwatt.meter.record import SignedRecord
from commonwatt.node.store import standing_limits
from commonwatt.web.api import hooks, limits, sessions
from commonwatt.web.api.openapi import document_bytes
from commonwatt.web.api.problem import KINDS
from commonwatt.web.api.roles import Access, Role
from commonwatt.web.api.route import CSV, EVENTS, JSON, Route
from commonwatt.web.api.table import ROUTES
from node.service.parts import AUCTION
from web.api.parts import (
    AUDITOR,
    BINARY,
    DAY,
    HERE,
    NAME,
    NOON,
    OPERATOR,
    People,
    Station,
    address,
    as_json,
    binary,
)

DOCS = Path(__file__).parents[3] / "docs"
WHO: Mapping[Role, Account] = {
    Role.PARTICIPANT: PRODUCER,
    Role.OPERATOR: OPERATOR,
    Role.ISSUER: ISSUER,
    Role.AUDITOR: AUDITOR,
}
BY_NAME = {route.name: route for route in ROUTES}
NOT_ALLOWED = {401, 403}
ROWS = [
    pytest.param(route, role, id=f"{route.name}-{role.value}") for route in ROUTES for role in Role
]


class Town:
    """A station in which both members hold certificates and a record was refused."""

    def __init__(self, station: Station) -> None:
        self.station, self.people = station, People(station)
        self.tokens = {role: self.people.token_of(who) for role, who in WHO.items()}
        book = station.hosted.book
        [mine, *_] = [b for b in book.held(PRODUCER.address_bytes) if b.status is Status.ACTIVE]
        self.acted(PRODUCER, Transfer(mine.number, 10, address(NEIGHBOUR)))
        [given] = book.held(NEIGHBOUR.address_bytes)
        [own, *_] = [b for b in book.held(PRODUCER.address_bytes) if b.status is Status.ACTIVE]
        self.acted(NEIGHBOUR, Retire(given.number, 10, address(NEIGHBOUR), "at noon"))
        self.acted(PRODUCER, Retire(own.number, 10, address(PRODUCER), "at noon"))
        retired = [
            b
            for b in book.held(PRODUCER.address_bytes)
            if b.number in book.log.book.state.retirements
        ]
        self.bundles = {True: retired[0].number, False: given.number}
        """The producer's, and another's."""
        forged = SignedRecord(station.street.grid[0].opening.record, bytes(64))
        station.hosted.take([forged])

    def acted(self, who: Account, action: Any) -> None:
        signed = self.station.sign(who, action)
        answer = self.people.post(f"{HERE}/certificates/actions", json=signed)
        assert answer.status_code == 201, answer.text

    def request(self, route: Route, role: Role, *, own: bool) -> tuple[str, dict[str, Any]]:
        """An address of the route and what goes with it, about one's own things or another's."""
        grid = self.station.street.grid
        member = 0 if own else 1
        me = WHO.get(role, FORGER)
        mine = me if own else NEIGHBOUR
        number = 1 if "{number}" in route.path and "certificate" not in route.path else 0
        path = route.path.format(
            name=NAME,
            kind="too-many",
            meter=grid[member].key.meter.hex(),
            member=member,
            start=NOON,
            day=DAY,
            part="inputs",
            number=number or self.bundles[own],
            account=address(mine),
        )
        options: dict[str, Any] = {}
        if route.name == "bundles":
            path += f"?account={address(mine)}"
        if route.name == "send_records":
            options = {"content": binary([grid[0].opening]), "headers": BINARY}
        elif route.name == "act":
            options = {"json": self.station.sign(me, Transfer(0, 1, address(NEIGHBOUR)))}
        elif route.name == "sign_in":
            return path, options
        elif "energytag" in route.name and route.body is not None:
            names = {"source_id": address(mine), "user_id": address(mine)}
            options = {"json": {**route.sent, **names}}
        elif route.body is not None:
            options = {"json": route.sent}
        return path, options

    def ask(self, route: Route, role: Role, *, own: bool = True) -> int:
        path, options = self.request(route, role, own=own)
        if route.name == "sign_in":
            return self.people.sign_in(WHO.get(role, PRODUCER)).status_code
        if EVENTS in route.media:
            return self.people.ask("HEAD", path, self.tokens.get(role)).status_code
        # A token of its own, so that signing out leaves the others what they are.
        token = self.tokens.get(role)
        if route.name == "sign_out" and role in WHO:
            token = self.people.token_of(WHO[role])
        return self.people.ask(route.method, path, token, **options).status_code


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    station = Station(tmp_path_factory.mktemp("town"), AUCTION)
    station.live(2)
    town = Town(station)
    yield town
    town.people.close()
    station.close()


@pytest.mark.parametrize(("route", "role"), ROWS)
def test_a_role_may_do_what_its_cell_says_and_nothing_else(
    town: Town, route: Route, role: Role
) -> None:
    access = route.who.access(role)
    status = town.ask(route, role)
    if access is Access.NO:
        assert status == (403 if role in WHO else 401)
    elif access is Access.OWN:
        if role is Role.PARTICIPANT or route.name.startswith("energytag_"):
            assert status not in NOT_ALLOWED
        assert town.ask(route, role, own=False) == 403
    elif access is Access.SIGNED:
        # The book knows nobody's bundle 0 of an outsider: what it refuses is not the route's.
        assert status in {200, 201, 409}
    else:
        assert status in {200, 201, 204, route.status, 404 if "{number}" in route.path else 200}
        assert town.ask(route, role, own=False) not in NOT_ALLOWED


def test_what_must_be_signed_is_not_believed_without(town: Town) -> None:
    record = town.station.street.grid[0].opening
    forged = {"record": record.record.hex(), "signature": "11" * 64}
    answer = town.people.post(f"{HERE}/records", json={"records": [forged]})
    assert answer.json()["results"][0]["reason"] == "SIGNATURE_WRONG"
    signed = town.station.sign(FORGER, Transfer(town.bundles[True], 1, address(FORGER)))
    stolen = {**signed, "actor": address(PRODUCER)}
    answer = town.people.post(f"{HERE}/certificates/actions", json=stolen)
    assert (answer.status_code, answer.json()["rule"]) == (409, "R13")


def test_a_signature_that_is_wrong_tells_nothing_of_how_much_an_account_has_done(
    town: Town,
) -> None:
    signed = town.station.sign(FORGER, Transfer(0, 1, address(FORGER)))
    told = {
        town.people.post(
            f"{HERE}/certificates/actions", json={**signed, "actor": address(PRODUCER), "nonce": n}
        ).json()["detail"]
        for n in range(4)
    }
    assert len(told) == 1


def test_every_route_that_is_open_to_owners_says_who_they_are() -> None:
    for route in ROUTES:
        has_owners = any(route.who.access(role) is Access.OWN for role in Role)
        assert has_owners == (route.owner is not None), route.name


def test_every_change_takes_an_idempotency_key_but_for_those_that_need_none() -> None:
    posts = {route.name for route in ROUTES if route.method in {"POST", "PUT"}}
    keyed = {route.name for route in ROUTES if route.is_keyed or "key-taken" in route.problems}
    # Records are known by their number, a sign-in by its nonce; a query changes nothing.
    assert posts - keyed == {"send_records", "sign_in", "energytag_query"}


# The page


def rows_of(page: str, chapter: str) -> list[list[str]]:
    text = (DOCS / page).read_text()
    part = text.partition(f"\n## {chapter}\n")[2].partition("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def test_the_page_shows_the_table_as_it_is() -> None:
    shown = {row[0]: row[1:] for row in rows_of("api.md", "Who may do what")}
    expected = {
        f"`{route.method} {route.path}`": [route.who.access(role).value for role in Role]
        for route in ROUTES
    }
    assert shown == expected


def test_the_page_explains_every_problem_and_no_other() -> None:
    shown = {row[0].strip("`"): row[1:] for row in rows_of("api.md", "Problems")}
    assert shown == {
        name: [str(kind.status), kind.title, kind.step] for name, kind in KINDS.items()
    }


def test_the_page_names_every_limit_with_its_value() -> None:
    shown = {row[0].strip("`"): row[1] for row in rows_of("api.md", "Limits")}
    named = {
        name: value
        for module in (limits, sessions, hooks, standing_limits)
        for name, value in vars(module).items()
        if re.fullmatch(r"[A-Z0-9_]*(_MAX|_S)", name) and isinstance(value, int | float)
    }
    assert {name: value.replace(",", "") for name, value in shown.items()} == {
        name: f"{value:g}" if isinstance(value, float) else str(value)
        for name, value in named.items()
    }


# The description


def test_the_committed_description_is_that_of_the_code() -> None:
    committed = (DOCS / "openapi.json").read_bytes()
    assert committed == document_bytes(), "python -m commonwatt.web.api > docs/openapi.json"


def test_every_route_is_described_and_nothing_else() -> None:
    described = {
        (path, method.upper())
        for path, operations in DESCRIBED["paths"].items()
        for method in operations
    }
    named = {(route.path, route.method) for route in ROUTES}
    assert described == named | {(path, "HEAD") for path, method in named if method == "GET"}


DESCRIBED = msgspec.json.decode(document_bytes())


def require_valid(value: Any, schema: Mapping[str, Any]) -> None:
    """Raise unless a schema of the description allows the value."""
    whole = {**schema, "components": DESCRIBED["components"]}
    jsonschema_rs.Draft202012Validator(whole).validate(msgspec.to_builtins(value))


@pytest.mark.parametrize("name", BY_NAME)
def test_an_operation_has_examples_that_its_schemas_allow(name: str) -> None:
    route = BY_NAME[name]
    operation = DESCRIBED["paths"][route.path][route.method.lower()]
    contents = [operation["responses"][str(route.status)].get("content", {})]
    contents.append(operation.get("requestBody", {}).get("content", {}))
    shown = 0
    for content in contents:
        for media, part in content.items():
            if media == JSON and "example" in part:
                require_valid(part["example"], part["schema"])
                shown += 1
    has_documents = any(JSON in content for content in contents)
    assert shown or not has_documents or name in {"description", "energytag_bundle"}
    assert CSV not in contents[0] or JSON in contents[0]


def test_every_status_that_can_be_answered_has_a_description() -> None:
    components = DESCRIBED["components"]["responses"]
    assert set(components) == {str(kind.status) for kind in KINDS.values()} - {"405"}
    for status, response in components.items():
        [content] = response["content"].values()
        assert str(content["example"]["status"]) == status


def test_batches_of_records_are_described_in_both_forms() -> None:
    batch = as_json([])
    operation = DESCRIBED["paths"]["/v1/communities/{name}/records"]["post"]
    content = operation["requestBody"]["content"]
    assert set(content) == {"application/json", "application/octet-stream"}
    require_valid(batch, content["application/json"]["schema"])
