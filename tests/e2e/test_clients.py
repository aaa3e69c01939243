"""Clients that nobody here wrote: ethers and viem on a community's chain, and our own commands.

Each client reads, watches, transfers and is refused, by signatures taken from the standards; each
value must be what our own ledger says.
"""

import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import decode

from anvil import DEV_KEY, running_anvil
from clients.node import run_client, run_program, served
from commandline import Answer, commonwatt, street_csv
from commonwatt.audit.published import read_community
from commonwatt.chain.abi import contract
from commonwatt.chain.connection import Account, Connection, Log
from commonwatt.chain.embedded import EmbeddedChain
from commonwatt.chain.embedded.chain import CHAIN_ID
from commonwatt.chain.errors import JournalLocked
from commonwatt.chain.ledger import Ledger
from commonwatt.chain.production import Purpose, TokenId
from commonwatt.cli.chain import run_serve
from commonwatt.errors import InputError
from commonwatt.meter.keys import meter_id
from commonwatt.node.folder import FolderFiles
from commonwatt.node.wiring import (
    CHAIN_FILE,
    NODE_FOLDER,
    demonstration_account,
    opened_ledger,
)

pytestmark = pytest.mark.xdist_group("clients")

CLIENTS_PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
PRODUCER = demonstration_account("street/1")
RECEIVER = demonstration_account("somebody else")
NOBODY = "0x" + "00" * 20
DAY = "2023-11-14"
"""Anvil begins on the evening of this day: certificates of its noon have not expired there."""

WORDS = {
    "TransferSingle": (("_operator", "_from", "_to"), ["uint256", "uint256"]),
    "TransferBatch": (("_operator", "_from", "_to"), ["uint256[]", "uint256[]"]),
    "IssuanceSingle": (("_issuer", "topic"), ["uint256", "uint256"]),
    "ClaimSingle": (("_issuer", "_subject", "topic"), ["uint256", "uint256", "bytes"]),
}
"""Indexed fields (accounts begin with _), and the types of the others."""


@dataclass(frozen=True)
class Place:
    """A finished run, and the chain it is on behind a URL."""

    folder: Path
    url: str
    ledger: Ledger
    tokens: list[TokenId]
    """The producer's certificates, the fullest first."""


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two homes of a street, an hour and a half."""
    path = street_csv(tmp_path_factory.mktemp("homes") / "street.csv", homes=2, intervals=6)
    path.write_text(path.read_text().replace("2016-06-21", DAY))
    return path


@pytest.fixture(scope="module")
def run(homes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on the embedded chain."""
    folder = tmp_path_factory.mktemp("embedded") / "run"
    _require(commonwatt("demo", "--homes", homes, "--out", folder, "--json"))
    return folder


@pytest.fixture(scope="module", params=["embedded chain", "anvil"])
def place(
    request: pytest.FixtureRequest, homes: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("place")
    own = folder / "run"
    if request.param == "anvil":
        key = folder / "operator.key"
        key.write_text(DEV_KEY.hex() + "\n")
        # With fees as on a network, so that the clients have to find and pay them.
        with running_anvil(CHAIN_ID, "--block-base-fee-per-gas", "1000000000") as url:
            _give_coins(url, PRODUCER)
            words = ("demo", "--homes", homes, "--out", own, "--chain", url, "--key", key)
            _require(commonwatt(*words, "--json"))
            yield from _place(own, url)
    else:
        shutil.copytree(request.getfixturevalue("run"), own)
        with served(own) as url:
            yield from _place(own, url)


def _give_coins(url: str, account: Account) -> None:
    with Connection.http(url) as connection:
        connection.request("anvil_setBalance", account.address, hex(10**18))


def _require(answer: Answer) -> None:
    assert answer.code == 0, answer.err


def _place(run: Path, url: str) -> Iterator[Place]:
    """What the clients find: units held, and some that were given in a batch, and used up."""
    community = read_community(FolderFiles(run))
    with opened_ledger(run, url, community.chain) as ledger:
        claims = sorted(ledger.facts().claims, key=lambda claim: claim.wh)[::-1]
        tokens = [TokenId(claim.meter, claim.start, claim.duration) for claim in claims]
        own, other = PRODUCER.address_bytes, RECEIVER.address_bytes
        ledger.transfer_many(PRODUCER, own, other, [(tokens[0], 40), (tokens[1], 2)])
        period = (tokens[0].start, tokens[0].start + tokens[0].duration)
        bread = Purpose("bakery", "Market Square 1", "DE", *period, "bread")
        ledger.retire(PRODUCER, own, tokens[0], 30, bread)
        yield Place(run, url, ledger, tokens)


def balances(place: Place) -> dict[str, Any]:
    """What a client should see of the fullest certificate, and of one that never was."""
    ledger, token = place.ledger, place.tokens[0]
    own, other = PRODUCER.address_bytes, RECEIVER.address_bytes
    never = TokenId.of(token.number + 1)
    held = [ledger.units(own, token), ledger.units(other, token), ledger.units(own, never)]
    used = [ledger.retired(own, token), ledger.retired(other, token), ledger.retired(own, never)]
    return {
        "single": list(map(str, held[:2])), "batch": list(map(str, held)),
        "claimed": str(used[0]), "claimedBatch": list(map(str, used)),
    }  # fmt: skip


def told(log: Log, event: str) -> dict[str, Any]:
    """A log as the clients print it."""
    indexed, types = WORDS[event]
    args: list[Any] = [
        "0x" + topic[-20:].hex() if name[0] == "_" else str(int.from_bytes(topic))
        for name, topic in zip(indexed, log.topics[1:], strict=True)
    ]
    for value in decode(types, log.data):
        if isinstance(value, bytes):
            args.append("0x" + value.hex())
        else:
            args.append(str(value) if isinstance(value, int) else list(map(str, value)))
    return {"block": log.block_number, "transaction": "0x" + log.tx_hash.hex(), "args": args}


def written(place: Place, event: str) -> list[dict[str, Any]]:
    """All events of a kind."""
    at, topic = "0x" + place.ledger.addresses.certificate.hex(), contract("Certificate").topics
    return [told(log, event) for log in place.ledger.connection.logs(at, [topic[event]])]


@pytest.mark.parametrize("client", ["ethers", "viem"])
def test_a_client_sees_what_our_ledger_sees_and_moves_units(place: Place, client: str) -> None:
    ledger, token = place.ledger, place.tokens[0]
    amount, before = 7, balances(place)
    height = ledger.connection.block_number()
    events = {event: written(place, event) for event in WORDS}
    _require_balances_follow(place, events)
    seen = run_client(
        client,
        {
            "url": place.url, "certificate": "0x" + ledger.addresses.certificate.hex(),
            "id": str(token.number), "amount": str(amount), "holder": PRODUCER.address,
            "receiver": RECEIVER.address, "key": "0x" + PRODUCER.key.hex(),
        },
    )  # fmt: skip

    assert (seen["chainId"], seen["block"], seen["isContract"]) in (
        (str(CHAIN_ID), height, True),
        (CHAIN_ID, height, True),
    )
    assert seen["interfaces"] == [True, True, True, False]
    _require_certificate(place, seen)
    assert seen["before"] == before
    assert seen["events"] == events
    assert all(events.values())
    own = PRODUCER.address.lower()
    assert seen["moves"] == [e for e in events["TransferSingle"] if e["args"][1] == own]

    moved = seen["transfer"]
    receipt = ledger.connection.receipt(bytes.fromhex(moved["transaction"][2:]))
    assert receipt is not None
    assert (moved["block"], moved["status"]) == (receipt.block_number, 1)
    assert (moved["found"], moved["gas"]) == (receipt.block_number, str(receipt.gas_used))
    expected = told(receipt.logs[0], "TransferSingle")
    assert seen["watched"] == moved["log"] == expected
    assert expected["args"] == [
        own, own, RECEIVER.address.lower(), str(token.number), str(amount),
    ]  # fmt: skip
    left, given = (int(wh) for wh in before["single"])
    assert seen["after"]["single"] == [str(left - amount), str(given + amount)]
    assert seen["after"] == seen["end"] == balances(place)

    for refusal in (seen["refusedCall"], seen["refusedEstimate"]):
        assert refusal["reason"] == "certificate: balance too small", refusal
    assert seen["refusedInBlock"]["status"] == 0, seen["refusedInBlock"]
    assert ledger.connection.block_number() == height + 2


def _require_certificate(place: Place, seen: dict[str, Any]) -> None:
    """What a certificate says of itself is what the registry and the run say."""
    ledger, token = place.ledger, place.tokens[0]
    [meter] = [m for m in ledger.facts().meters if meter_id(m.public_key) == token.meter]
    about = seen["certificate"]
    assert about["issuer"] == "0x" + ledger.issuer().hex()
    assert about["topic"] == str(meter.source)
    assert decode(["uint256"] * 7, bytes.fromhex(about["data"][2:])) == (
        int.from_bytes(token.meter), token.start, token.duration,
        int.from_bytes(ledger.addresses.settlement), meter.source, meter.rated_w, meter.first_day,
    )  # fmt: skip
    assert seen["valid"] is ledger.is_issued(token) is True
    assert seen["uri"] == ledger.uri(token)
    assert seen["metadata"] == {
        "name": "Electricity of known origin, 1 Wh", "decimals": 0,
        "properties": {
            "id": f"0x{token.number:064x}", "start": token.start, "duration": token.duration,
            "source": meter.source,
        },
    }  # fmt: skip


def _require_balances_follow(place: Place, events: dict[str, Any]) -> None:
    """ERC-1155: who holds what follows from the events of transfers alone."""
    held: Counter[tuple[str, str]] = Counter()
    for event in [*events["TransferSingle"], *events["TransferBatch"]]:
        _, giver, taker, ids, amounts = event["args"]
        pairs = [(ids, amounts)] if isinstance(ids, str) else zip(ids, amounts, strict=True)
        for number, amount in pairs:
            held[giver, number] -= int(amount)
            held[taker, number] += int(amount)
    holders = {who for who, _ in held} - {NOBODY}
    assert holders == {PRODUCER.address.lower(), RECEIVER.address.lower()}
    for who in holders:
        for token in place.tokens:
            units = place.ledger.units(bytes.fromhex(who[2:]), token)
            assert held[who, str(token.number)] == units


def test_the_example_on_the_page_for_clients_runs(place: Place) -> None:
    [example] = re.findall(r"```javascript\n(.*?)```", CLIENTS_PAGE.read_text(), re.DOTALL)
    token, own = place.tokens[0], PRODUCER.address_bytes
    named = {
        "address": "0x" + place.ledger.addresses.certificate.hex(), "owner": PRODUCER.address,
        "id": f"0x{token.number:064x}",
    }  # fmt: skip
    given = "".join(f'const {name} = "{value}";\n' for name, value in named.items())
    printed = "console.log(`${held} ${moved.length}`); chain.destroy();"
    program = example.replace("http://127.0.0.1:8545", place.url)
    held, moved = run_program(f"{given}{program}\n{printed}").split()
    assert int(held) == place.ledger.units(own, token)
    assert int(moved) == len(written(place, "TransferSingle"))


def test_our_own_commands_work_over_the_url_and_the_audit_agrees(place: Place) -> None:
    listed = commonwatt("certificate", "list", place.folder, "--chain", place.url, "--json")
    _require(listed)
    found = {entry["id"]: entry for entry in listed.json["certificates"]}
    for token in place.tokens:
        held = {
            unit["account"]: unit["wh"]
            for unit in found[f"0x{token.number:064x}"]["units"]
            if unit["state"] == "held"
        }
        for who in (PRODUCER, RECEIVER):
            assert held.get(who.address, 0) == place.ledger.units(who.address_bytes, token)
    audited = commonwatt("audit", place.folder, "--chain", place.url)
    assert (audited.code, audited.out[:3]) == (0, "ok:"), audited.out


# The command


def chain_file(folder: Path) -> Path:
    return folder / NODE_FOLDER / CHAIN_FILE


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A folder with a chain of no blocks that is no demonstration's."""
    chain_file(tmp_path).parent.mkdir()
    EmbeddedChain(chain_file(tmp_path)).close()
    return tmp_path


def test_a_served_chain_is_open_in_that_process_alone_and_time_stands_still(run: Path) -> None:
    before = commonwatt("certificate", "list", run, "--json").out
    with served(run) as url:
        assert commonwatt("certificate", "list", run, "--chain", url, "--json").out == before
        with pytest.raises(JournalLocked):
            EmbeddedChain(chain_file(run))
        again = commonwatt("chain", "serve", run, "--port", "0")
        with Connection.http(url) as connection:
            stranger = demonstration_account("passer-by")
            receipt = connection.send(stranger, stranger.address, b"")
            sent, earlier = (
                connection.request("eth_getBlockByNumber", hex(number), False)  # noqa: FBT003
                for number in (receipt.block_number, receipt.block_number - 1)
            )
    assert (again.code, again.out) == (2, "")
    assert "open in another process" in again.err
    assert sent["timestamp"] == earlier["timestamp"]


def test_the_time_of_a_chain_that_is_no_demonstrations_is_now(plain: Path) -> None:
    with served(plain) as url, Connection.http(url) as connection:
        stranger = demonstration_account("passer-by")
        assert connection.send(stranger, stranger.address, b"").block_number == 1
        block = connection.request("eth_getBlockByNumber", "latest", False)  # noqa: FBT003
        assert abs(int(block["timestamp"], 16) - time.time()) < 60


@pytest.mark.parametrize("told_to_end", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_while_a_client_is_connected(
    plain: Path, told_to_end: signal.Signals
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "commonwatt.cli.main", "chain", "serve", str(plain), "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    with Connection.http(process.stdout.readline().split()[-1]) as client:
        stranger = demonstration_account("passer-by")
        client.send(stranger, stranger.address, b"")
        process.send_signal(told_to_end)
        _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (0, "ended after block 1\n")
    with EmbeddedChain(chain_file(plain)) as chain:
        assert chain.check() == 1


def test_what_cannot_be_served_is_said_in_one_line(plain: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        refused = commonwatt("chain", "serve", plain, "--port", taken)
        assert (refused.code, refused.out) == (2, "")
        assert refused.err.startswith(f"commonwatt: 127.0.0.1:{taken}: cannot listen there (")
        assert len(refused.err.splitlines()) == 1
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    for folder, port, origin, said in (
        (plain / "node", 0, None, "no embedded chain in it"),
        (plain / "nothing", 0, None, "no embedded chain in it"),
        (plain, 70_000, None, "give 1 to 65535"),
        (plain, 0, "page", "write it as https://example"),
    ):
        with pytest.raises(InputError, match=said):
            run_serve(folder, "127.0.0.1", port, origin)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    EmbeddedChain(chain_file(plain)).close()  # and nobody holds it
