"""Who gets to see what: everything to an auditor, one's own to each, nothing of the others."""

import json
from collections.abc import Iterator
from hashlib import sha256

import msgspec
import pytest

from commonwatt.market.settings import MarketSettings, MemberSettings
from commonwatt.meter.record import Record
from commonwatt.quantity import Interval
from commonwatt.statement.header import Header
from commonwatt.statement.leaves import Section, TradeLeaf, party, salt_of
from commonwatt.statement.publication import (
    CONSTITUTION_PATH,
    MARKET_PATH,
    REGISTER_PATH,
    Constitution,
    RegisterLine,
    community_of,
    constitution_bytes,
    day_of,
    market_bytes,
    member_folder,
    paths_of,
    register_bytes,
)
from street import CHAIN, Street

DAY = "2016-06-21"
MEMBERS = 5
INTERVALS = 4


def lived_in_street() -> Street:
    """Everybody takes something different, so that no register or bill is like another."""
    street = Street(members=MEMBERS, producers=3, batteries=1)
    for quarter in range(INTERVALS):
        taken = [0, 0, 11 + quarter, 311 + 7 * quarter, 523 + 13 * quarter]
        gave = [1_009 + quarter, 211 + 3 * quarter, 0, 0, 0]
        street.close(street.measure(taken, gave, [907 + quarter, 199, 5 * quarter], [quarter]))
    return street


STREET = lived_in_street()


def lines(path: str) -> list[dict]:
    return [json.loads(line) for line in STREET.files[path].splitlines()]


def own_lines(member: int) -> list[dict]:
    return lines(f"{member_folder(member)}/{DAY}.jsonl")


def test_a_community_is_read_as_it_was_written() -> None:
    constitution = msgspec.json.decode(STREET.files[CONSTITUTION_PATH], type=Constitution)
    register = [
        msgspec.json.decode(line, type=RegisterLine)
        for line in STREET.files[REGISTER_PATH].splitlines()
    ]
    market = msgspec.json.decode(STREET.files[MARKET_PATH], type=MarketSettings)
    again = community_of(constitution, register, market)
    assert again == STREET.community
    assert constitution_bytes(again) == STREET.files[CONSTITUTION_PATH]
    assert register_bytes(again.registrations) == STREET.files[REGISTER_PATH]
    assert market_bytes(again.market) == STREET.files[MARKET_PATH]
    assert again.roll == STREET.community.roll


def test_the_constitution_names_register_market_and_every_account() -> None:
    constitution = json.loads(STREET.files[CONSTITUTION_PATH])
    assert constitution["register"] == sha256(STREET.files[REGISTER_PATH]).hexdigest()
    assert constitution["market"] == sha256(STREET.files[MARKET_PATH]).hexdigest()
    assert constitution["rule"] == STREET.community.market.rule
    assert constitution["accounts"] == [a.hex() for a in STREET.community.accounts]
    assert constitution["chain_id"] == CHAIN.chain_id
    assert constitution["settlement"] == CHAIN.settlement.hex()


def test_the_statements_call_for_these_files_and_no_others() -> None:
    assert set(STREET.files) == paths_of(DAY, MEMBERS) | {
        CONSTITUTION_PATH,
        REGISTER_PATH,
        MARKET_PATH,
    }


def test_a_day_ends_at_midnight_utc() -> None:
    street = Street(members=1, producers=0, start=Interval.parse("2016-06-21T23:45:00Z", 900))
    street.close(street.measure([1], [0]))
    street.close(street.measure([1], [0]))
    assert [day_of(close.start) for close in street.closes] == ["2016-06-21", "2016-06-22"]
    assert paths_of("2016-06-21", 1) | paths_of("2016-06-22", 1) < set(street.files)


def test_everybody_sees_each_header_its_anchor_and_its_payment() -> None:
    for line, anchored in zip(lines(f"public/{DAY}.jsonl"), STREET.closes, strict=True):
        header = Header.decode(bytes.fromhex(line["header"]))
        assert header.anchor == anchored.anchor == bytes.fromhex(line["anchor"])
        assert line["start"] == header.start == anchored.start
        assert bytes.fromhex(line["transaction"]) == anchored.transaction


def test_an_auditor_sees_every_leaf_in_its_order() -> None:
    leaves = lines(f"audit/{DAY}.leaves.jsonl")
    for anchored, head in zip(STREET.closes, lines(f"public/{DAY}.jsonl"), strict=True):
        header = Header.decode(bytes.fromhex(head["header"]))
        for section in Section:
            found = [
                line["index"]
                for line in leaves
                if line["start"] == anchored.start and line["section"] == section.label
            ]
            assert found == list(range(getattr(header, section.label).size))


def test_an_auditor_sees_every_record_and_every_refusal() -> None:
    street = Street(members=2, producers=1)
    honest = street.measure([5, 6], [7, 8], [9])
    forged = honest[0]._replace(signature=honest[1].signature)
    street.close([forged, *honest[1:]])
    first, *rest = (
        json.loads(line) for line in street.files[f"audit/{DAY}.inputs.jsonl"].splitlines()
    )
    assert (first["records"], first["refused"]) == (2, 1)
    counted, refused = rest[:2], rest[2]
    assert {line["record"] for line in counted} == {signed.record.hex() for signed in honest[1:]}
    assert refused == {
        "refused": forged.record.hex(),
        "signature": forged.signature.hex(),
        "reason": "SIGNATURE_WRONG",
    }


def test_each_member_gets_its_own_position_records_trades_and_certificates() -> None:
    for member in range(MEMBERS):
        meters = {r.meter.hex() for r in STREET.community.registrations if r.member == member}
        for line in own_lines(member):
            sections = [leaf["section"] for leaf in line["leaves"]]
            assert sections[0] == "positions"
            assert sections.count("positions") == 1
            assert line["leaves"][0]["index"] == member
            shown = [leaf["record"] for leaf in line["leaves"] if leaf["section"] == "records"]
            assert {bytes.fromhex(record)[12:32].hex() for record in shown} == meters
            for leaf in line["leaves"]:
                if leaf["section"] == "certificates":
                    assert leaf["leaf"][:40] in meters


def secrets_of(member: int) -> Iterator[tuple[str, bytes]]:
    """What only this member (and an auditor) should be able to see, as it would be written."""
    yield "account", STREET.community.accounts[member].hex().encode()
    for registration in STREET.community.registrations:
        if registration.member == member:
            yield "meter", registration.meter.hex().encode()
            yield "key", registration.public_key.hex().encode()
    for line in own_lines(member):
        for leaf in line["leaves"]:
            if leaf["section"] in ("positions", "records", "certificates"):
                yield f"{leaf['section']} leaf", leaf["leaf"].encode()
            if leaf["section"] == "positions":
                yield "salt", leaf["leaf"][-64:].encode()
            if leaf["section"] == "records":
                record = Record.decode(bytes.fromhex(leaf["record"]))
                yield "record", leaf["record"].encode()
                yield "digest", leaf["leaf"][:64].encode()
                yield "signature", leaf["leaf"][64:].encode()
                yield "previous", record.previous.hex().encode()
                for register in (record.import_mwh, record.export_mwh):
                    # A register that never moved is the same for everybody.
                    if register != 1_234_567:
                        yield "register", register.to_bytes(8).hex().encode()
                        yield "register in digits", str(register).encode()


@pytest.mark.parametrize("member", range(MEMBERS))
def test_a_members_lines_show_nothing_of_the_others(member: int) -> None:
    own = STREET.files[f"{member_folder(member)}/{DAY}.jsonl"]
    found = dict(secrets_of(member))
    assert {"meter", "record", "digest", "positions leaf", "salt"} <= set(found)
    for other in set(range(MEMBERS)) - {member}:
        for what, secret in secrets_of(other):
            assert secret not in own, (what, other)


@pytest.mark.parametrize("member", range(MEMBERS))
def test_nobody_who_sees_the_public_files_sees_a_member(member: int) -> None:
    public = STREET.files[f"public/{DAY}.jsonl"]
    for what, secret in secrets_of(member):
        if what != "account":
            assert secret not in public, what


def trades_shown_to(member: int) -> list[list[TradeLeaf]]:
    return [
        [
            TradeLeaf.decode(bytes.fromhex(leaf["leaf"]))
            for leaf in line["leaves"]
            if leaf["section"] == "trades"
        ]
        for line in own_lines(member)
    ]


def test_a_member_recognises_itself_in_its_trades_and_not_its_neighbour() -> None:
    partners: list[bytes] = []
    for line, trades in zip(own_lines(0), trades_shown_to(0), strict=True):
        salt = bytes.fromhex(line["leaves"][0]["leaf"][-64:])
        assert trades
        for trade in trades:
            assert trade.seller == party(salt, 0)
            partners.append(trade.buyer)
    # The same neighbour bought in every interval, and looks like another one each time.
    assert len(set(partners)) == len(partners) >= INTERVALS


def test_a_neighbour_cannot_be_guessed_from_anything_public() -> None:
    guesses = set()
    accounts = STREET.community.accounts
    for member in range(MEMBERS):
        for own in range(MEMBERS):
            for line in own_lines(own):
                salt = bytes.fromhex(line["leaves"][0]["leaf"][-64:])
                if own != member:
                    guesses.add(party(salt, member))
        guesses |= {party(bytes(32), member), party(b"", member)}
        guesses |= {sha256(accounts[member]).digest(), accounts[member].ljust(32, b"\0")}
    for member in range(MEMBERS):
        for trades in trades_shown_to(member):
            assert not guesses & {side for trade in trades for side in (trade.seller, trade.buyer)}


def test_both_parties_of_a_trade_see_the_same_leaf_and_nobody_else_sees_it() -> None:
    shown: dict[str, list[int]] = {}
    for member in range(MEMBERS):
        for line in own_lines(member):
            for leaf in line["leaves"]:
                if leaf["section"] == "trades":
                    shown.setdefault(leaf["leaf"], []).append(member)
    all_trades = [
        line for line in lines(f"audit/{DAY}.leaves.jsonl") if line["section"] == "trades"
    ]
    assert set(shown) == {line["leaf"] for line in all_trades}
    assert all(len(members) == 2 for members in shown.values())


def test_an_auditor_of_one_day_can_name_every_party() -> None:
    keys = {
        line["start"]: line["salt_key"]
        for line in lines(f"audit/{DAY}.inputs.jsonl")
        if "start" in line
    }
    for member in range(MEMBERS):
        for line, trades in zip(own_lines(member), trades_shown_to(member), strict=True):
            key, start = bytes.fromhex(keys[line["start"]]), line["start"]
            parties = {
                party(salt_of(key, start, Section.POSITIONS, number), number)
                for number in range(MEMBERS)
            }
            assert all({trade.seller, trade.buyer} <= parties for trade in trades)


def test_every_line_is_one_line_of_json_without_blanks() -> None:
    for path, content in STREET.files.items():
        assert content.endswith(b"\n")
        if path not in (CONSTITUTION_PATH, MARKET_PATH):
            for line in content.splitlines():
                assert msgspec.json.encode(json.loads(line)) == line


def test_settings_are_published_alike_however_their_texts_came_to_be() -> None:
    # Another object that says the same, as a command line or a file brings it.
    rule, premium = b"mid_market_rate".decode(), b"0".decode()
    members = (MemberSettings(1, premium=premium, participation_percent=int("100")),)
    given = MarketSettings(rule=rule, members=members)
    assert market_bytes(given) == market_bytes(MarketSettings(members=(MemberSettings(1),)))
    assert json.loads(market_bytes(given)) == {"members": [{"member": 1}]}
