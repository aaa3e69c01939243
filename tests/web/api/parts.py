"""A node with one community over a street, and people who ask it."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import msgspec

from certificates import NEIGHBOUR, PRODUCER, account
from commonwatt.certificate.actions import Action
from commonwatt.certificate.log import signed_text
from commonwatt.chain.account import Account
from commonwatt.market.settings import MarketSettings
from commonwatt.meter.record import SignedRecord
from commonwatt.node.service.hosted import Hosted
from commonwatt.node.service.members import community_key
from commonwatt.node.store import Store, file_url
from commonwatt.web.api import ApiSettings, create_app
from commonwatt.web.api.limits import Limits
from commonwatt.web.api.settings import Rates, StaticToken
from node.service.parts import PLAIN, Chain, Hands, hosted_over, street_of
from street import MIDSUMMER_NOON

NOON = MIDSUMMER_NOON.start
QUARTER_S = 900
DAY = "2016-06-21"
NAME = "linden-street"
HERE = f"/v1/communities/{NAME}"
LODGER, OPERATOR, AUDITOR = map(account, ("lodger", "operator", "auditor"))
PRODUCERS, NEIGHBOURS, LODGERS = range(3)
"""Which members they are."""
TOKENS = {role: f"cw_{role}-token-of-the-test" for role in ("operator", "issuer", "auditor")}
MEMBER_TOKEN = "cw_static-token-of-the-neighbour"
MANY = Rates(
    requests_per_s=10_000_000,
    requests_at_once=10_000_000,
    actor_per_s=10_000_000,
    actor_at_once=10_000_000,
    refused_per_s=10_000_000,
    refused_at_once=10_000_000,
    sign_ins_per_s=10_000_000,
    sign_ins_at_once=10_000_000,
)
"""So that tests do not wait."""


def address(who: Account) -> str:
    return who.address_bytes.hex()


def settings(**changes: Any) -> ApiSettings:
    static = [
        StaticToken(role, sha256(text.encode()).hexdigest(), role)  # type: ignore[arg-type]
        for role, text in TOKENS.items()
    ]
    own = sha256(MEMBER_TOKEN.encode()).hexdigest()
    static.append(StaticToken("neighbour", own, "participant", NAME, NEIGHBOURS))
    given: dict[str, Any] = {
        "origin": "https://node.example.org",
        "operators": (OPERATOR.address,),
        "auditors": (AUDITOR.address,),
        "tokens": tuple(static),
        "rates": MANY,
    }
    return ApiSettings(**(given | changes))


class Station:
    """A node: one community, its database, its book, and a chain in memory."""

    def __init__(self, folder: Path, market: MarketSettings = PLAIN) -> None:
        self.folder, self.chain = folder, Chain()
        (folder / "node").mkdir(parents=True, exist_ok=True)
        street = street_of(market)
        accounts = tuple(who.address_bytes for who in (PRODUCER, NEIGHBOUR, LODGER))
        street.found(replace(street.community, accounts=accounts))
        self.street, self.clock = street, Hands(NOON)
        self.store = Store(file_url(folder / "node" / "node.sqlite"))
        database = self.store.database(community_key(NAME))
        self.hosted, _ = hosted_over(street, NAME, folder, database, self.chain, self.clock)
        self.communities: Mapping[str, Hosted] = {NAME: self.hosted}

    def records(self, index: int = 0) -> list[SignedRecord]:
        """All meters' records of the next interval."""
        batch = self.street.measure([0, 300 + index, 500], [1_500, 0, 0], [1_800 + index], [0])
        self.street.interval = self.street.interval.next
        return batch

    def live(self, intervals: int = 1) -> None:
        """Let quarter hours pass."""
        for index in range(intervals):
            self.clock.now = max(self.clock.now, self.street.interval.end)
            self.hosted.take(self.records(index))
            self.hosted.conclude()
            assert self.hosted.settle()
        self.clock.now += 60

    def sign(self, who: Account, action: Action) -> dict[str, Any]:
        """The account's next action, as it goes over the wire."""
        log = self.hosted.book.log
        number = log.nonces.get(who.address_bytes, 0)
        return {
            "actor": address(who),
            "nonce": number,
            "action": msgspec.to_builtins(action),
            "signature": who.sign_text(signed_text(log.identity, number, action)).hex(),
        }

    def close(self) -> None:
        self.hosted.book.close()
        self.store.close()


class Moments:
    """UTC seconds for signing in, and steady seconds for rates: a test moves them."""

    def __init__(self) -> None:
        self.now = 1_750_000_000.0

    def __call__(self) -> float:
        return self.now


class People:
    """Those who ask a node, in process."""

    def __init__(
        self, station: Any, settings_: ApiSettings | None = None, limits: Limits | None = None
    ) -> None:
        self.station, self.clock = station, Moments()
        self.app = create_app(
            station, settings_ or settings(), limits=limits, clock=self.clock, steady=self.clock
        )
        self.api = self.app.state.api
        self._runner = asyncio.Runner()
        transport = httpx.ASGITransport(self.app, client=("192.0.2.1", 4_000))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://node")

    def close(self) -> None:
        self._runner.run(self.client.aclose())
        self._runner.close()
        self.api.close()

    def ask(
        self, method: str, path: str, token: str | None = None, **options: Any
    ) -> httpx.Response:
        headers = dict(options.pop("headers", {}))
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        # Each question comes later than the one before: what is looked up once a second is looked
        # up again.
        self.clock.now += 2
        return self._runner.run(self.client.request(method, path, headers=headers, **options))

    def get(self, path: str, token: str | None = None, **options: Any) -> httpx.Response:
        return self.ask("GET", path, token, **options)

    def post(self, path: str, token: str | None = None, **options: Any) -> httpx.Response:
        return self.ask("POST", path, token, **options)

    def run(self, coroutine: Any) -> Any:
        return self._runner.run(coroutine)

    # Signing in

    def message(self, who: Account, **changes: Any) -> str:
        nonce = changes.pop("nonce", None) or self.get("/v1/session/nonce").json()["nonce"]
        return message_for(who, nonce, self.clock.now, **changes)

    def sign_in(self, who: Account, message: str | None = None, signer: Account | None = None):
        text = self.message(who) if message is None else message
        signature = (signer or who).sign_text(text.encode()).hex()
        return self.post("/v1/session", json={"message": text, "signature": f"0x{signature}"})

    def token_of(self, who: Account) -> str:
        answer = self.sign_in(who)
        assert answer.status_code == 201, answer.text
        return answer.json()["token"]


def message_for(who: Account, nonce: str, now: float, **changes: Any) -> str:
    """A message of EIP-4361 as a wallet writes it."""
    said = {
        "domain": "node.example.org",
        "address": who.address,
        "statement": "\nSign in to Linden Street.\n\n",
        "uri": "https://node.example.org/login",
        "version": "1",
        "chain_id": 31_337,
        "issued": moment(now),
        "expires": moment(now + 300),
        "rest": "",
    } | changes
    return (
        "{domain} wants you to sign in with your Ethereum account:\n{address}\n{statement}"
        "URI: {uri}\nVersion: {version}\nChain ID: {chain_id}\nNonce: {nonce}\n"
        "Issued At: {issued}\nExpiration Time: {expires}{rest}"
    ).format(nonce=nonce, **said)


def moment(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.123Z")


def binary(batch: list[SignedRecord]) -> bytes:
    return b"".join(record + signature for record, signature in batch)


def as_json(batch: list[SignedRecord]) -> dict[str, Any]:
    return {"records": [{"record": r.hex(), "signature": s.hex()} for r, s in batch]}


BINARY = {"content-type": "application/octet-stream"}
