"""What `commonwatt init` writes reads back as it was meant, whole or not at all."""

import errno
import json
import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bed import SCENARIO, Bed, init, make_bed
from commonwatt.chain.errors import ChainUnreachable
from commonwatt.cli.init import AddOptions
from commonwatt.market.settings import MarketSettings, MemberSettings
from commonwatt.meter.acceptance import Accepted
from commonwatt.meter.keys import MeterKey, meter_id
from commonwatt.meter.record import NO_PREVIOUS, Kind, Quality, Record
from commonwatt.node.keystore import read_account
from commonwatt.node.service import setup
from commonwatt.node.service.additions import (
    MeterFileUnusable,
    MeterWishes,
    add_meter,
    place_of,
    places_of,
)
from commonwatt.node.service.members import (
    CommunityFile,
    CommunityFileUnusable,
    MemberEntry,
    MeterEntry,
    TariffEntry,
    read_community_file,
)
from commonwatt.node.service.outlook import Stage, lacks, outlook_of, stage_of
from commonwatt.node.service.settings import ChainSettings, NodeSettings, read_node_file
from commonwatt.node.service.setup import SetupUnusable, community_text, node_text
from commonwatt.node.service.toml_text import value_text
from commonwatt.node.wiring import KeyFileUnusable, demonstration_account

NOON = 1_466_510_400
ACCOUNT = "0x" + "12" * 20
TARIFF = TariffEntry("0.24", "0.08", "0.0344", "0.08")
texts = st.text(st.characters(codec="utf-8"), max_size=30)


@pytest.fixture(autouse=True)
def _no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMMONWATT_PASSWORD", raising=False)
    monkeypatch.delenv("COMMONWATT_PASSWORD_FILE", raising=False)


def a_meter(ledger: bytes, seed: bytes = b"a", **fields: Any) -> dict[str, str]:
    """A meter as a gateway tells of it."""
    key = MeterKey.from_seed(seed)
    record = Record(
        version=1, kind=Kind.REGISTERS, quality=Quality.MEASURED, ledger=ledger, meter=key.meter,
        sequence=0, time_end=NOON, duration=900, import_mwh=1_000, export_mwh=0,
        previous=NO_PREVIOUS,
    )  # fmt: skip
    signed = key.sign(record._replace(**fields).encode())
    return {
        "public_key": key.public_key.hex(),
        "role": "grid",
        "opening": signed.record.hex(),
        "signature": signed.signature.hex(),
    }


def told(folder: Path, meter: object) -> Path:
    path = folder / "meter.json"
    path.write_text(json.dumps(meter))
    return path


def ledger_of(folder: Path) -> bytes:
    place = place_of(folder, None)
    return outlook_of(folder, place.settings, place.community).chain.ledger


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


# Texts


@given(texts)
def test_any_text_reads_back_from_toml(text: str) -> None:
    assert tomllib.loads(f"a = {value_text(text)}")["a"] == text


@given(
    names=st.lists(texts, min_size=1, max_size=4),
    zone=st.sampled_from(["", "DE-LU", "a b"]),
    tokens=st.booleans(),
)
def test_any_community_reads_back_as_it_was_meant(
    *, names: list[str], zone: str, tokens: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    meter = MeterEntry(
        member=len(names) - 1, rated_w=1, zone=zone, in_service="2016-06-21T00:00:00Z",
        **{**a_meter(bytes(8)), "role": "generation"}, source="T010100", tokens=tokens,
    )  # fmt: skip
    file = CommunityFile(
        name="elm",
        first_start="2016-06-21T12:00:00Z",
        supplier=ACCOUNT,
        grid_operator=ACCOUNT,
        tariff=TARIFF,
        members=tuple(MemberEntry(name, ACCOUNT, "5") for name in names),
        meters=(meter,),
        market=MarketSettings(
            rule="fixed_price", price="0.12", members=(MemberSettings(0, participation_percent=50),)
        ),
    )
    path = tmp_path_factory.mktemp("text") / "community.toml"
    path.write_text(community_text(file), encoding="utf-8")
    assert read_community_file(path) == file


@pytest.mark.parametrize(
    "settings",
    [
        NodeSettings(),
        NodeSettings(
            name="b", listen="[::]:1", database="postgresql://a:b@c/d", mqtt="mqtt://a",
            communities=("a.toml", "b.toml"), clock="records",
            chain=ChainSettings(url="https://a/b?c=d", key="/a b/c.key", confirmations=12),
        ),
    ],
    ids=["usual", "all else"],
)  # fmt: skip
def test_any_node_reads_back_as_it_was_meant(settings: NodeSettings, tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text(node_text(settings))
    assert read_node_file(tmp_path) == settings


def explained(chapter: str) -> set[str]:
    """The entries in a chapter's table of the page about nodes."""
    page = (Path(__file__).parents[3] / "docs" / "service.md").read_text()
    rows = page.partition(f"### {chapter}\n")[2].partition("\n#")[0].splitlines()
    cells = [row.split("|")[1] for row in rows if row.startswith("| `")]
    return set(re.findall(r"`([\w.]+)`", "".join(cells)))


def test_every_setting_is_explained_and_no_other() -> None:
    own = {field.name for field in msgspec.structs.fields(NodeSettings)} - {"chain"}
    chain = {f"chain.{field.name}" for field in msgspec.structs.fields(ChainSettings)}
    assert explained("node.toml") == own | chain
    assert explained("community.toml") == {f.name for f in msgspec.structs.fields(CommunityFile)}


# A new node


def test_a_new_node_is_complete_and_for_its_owners_eyes(tmp_path: Path) -> None:
    folder = tmp_path / "Elm Street"
    init(folder, members=3)
    assert files_in(folder) == {"node.toml", "community.toml", "operator.key"} | {
        f"keys/elm-street-{n}.key" for n in range(3)
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*.*")} == {0o600}
    place = place_of(folder, "elm-street")
    own = read_account(folder / "operator.key")
    assert place.community.supplier == place.community.grid_operator == own.address
    for number, member in enumerate(place.community.members):
        assert read_account(folder / f"keys/elm-street-{number}.key").address == member.account
    assert stage_of(folder, place.settings, place.community) is Stage.PLANNED


def test_keys_are_encrypted_where_there_is_a_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMMONWATT_PASSWORD", "over the hills")
    monkeypatch.setattr("commonwatt.node.keystore.SCRYPT_N", 2)
    init(tmp_path / "elm", members=1)
    document = json.loads((tmp_path / "elm" / "operator.key").read_text())
    assert document["crypto"]["cipher"] == "aes-128-ctr"
    account = read_account(tmp_path / "elm" / "operator.key")
    monkeypatch.delenv("COMMONWATT_PASSWORD")
    # Its ledger can be told without the password; signing needs it.
    assert ledger_of(tmp_path / "elm")
    assert bytes.fromhex(document["address"]) == account.address_bytes
    with pytest.raises(KeyFileUnusable, match="is encrypted"):
        read_account(tmp_path / "elm" / "operator.key")


def test_a_key_that_is_there_is_never_written_over_and_nothing_else_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "elm"
    folder.mkdir()
    (folder / "operator.key").write_text("mine")
    with pytest.raises(KeyFileUnusable, match="never written over"):
        init(folder)
    assert files_in(folder) == {"operator.key"}
    assert (folder / "operator.key").read_text() == "mine"


@pytest.mark.parametrize("at", range(5))
def test_a_disk_that_fills_up_leaves_nothing_behind(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, fsync = [at], os.fsync

    def full(descriptor: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises((SetupUnusable, KeyFileUnusable), match="No space left"):
        init(tmp_path / "elm", members=2)
    assert files_in(tmp_path) == set()


def test_where_a_node_is_another_is_not_made(tmp_path: Path) -> None:
    init(tmp_path / "elm")
    before = (tmp_path / "elm" / "node.toml").read_bytes()
    with pytest.raises(SetupUnusable, match="is a node already"):
        init(tmp_path / "elm")
    assert (tmp_path / "elm" / "node.toml").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "Elm"}, "lower-case"),
        ({"members": 0}, "use 1 to 1500"),
        ({"interval": 7}, "divide the hour"),
        ({"rule": "auction"}, "no clearing rule"),
        ({"retail": "free"}, "not a decimal number"),
        ({"feed_in": "0.30"}, "feed-in"),
        ({"advance": "20000"}, "a lane holds at most"),
        ({"supplier": "0x12"}, "write 0x and 40 hex digits"),
        ({"currency": "KRW"}, "give --retail"),
        ({"first_start": "2026-06-21T12:00:00"}, "has no time zone"),
        ({"first_start": "2026-06-21T12:01:00Z"}, "off the grid"),
        ({"listen": "8080"}, "write HOST:PORT"),
        ({"database": "mysql://a/b"}, "neither SQLite nor PostgreSQL"),
        ({"mqtt": "http://a"}, "written as mqtt://"),
        ({"key": Path("nowhere.key")}, "cannot be read"),
        ({"days": 2}, "give --scenario"),
        ({"scenario": "village", "members": 2}, "of its own"),
        ({"scenario": "village", "days": 0}, "use 1 or more"),
        ({"scenario": "village", "chain": "http://127.0.0.1:9"}, "needs --key"),
        ({"scenario": "village", "start": "soon"}, "write a day"),
        ({"rule": "uniform_price", "market": Path("m.toml")}, "name two rules"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_makes_no_node_is_said_before_anything_is_written(
    options: dict[str, Any], said: str, tmp_path: Path
) -> None:
    from commonwatt.errors import InputError  # noqa: PLC0415 - of many kinds here

    with pytest.raises(InputError, match=said):
        init(tmp_path / "elm", **options)
    assert not (tmp_path / "elm").exists()


def test_what_would_not_read_back_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "community_text", lambda file: community_text(file) + 'a = "b"\n')
    with pytest.raises(CommunityFileUnusable, match=r"elm/community.toml: .*unknown field `a`"):
        init(tmp_path / "elm")
    monkeypatch.setattr(setup, "community_text", lambda f: community_text(f).replace('"50"', '"5"'))
    with pytest.raises(SetupUnusable, match="would not say what was meant"):
        init(tmp_path / "elm")
    assert not (tmp_path / "elm").exists()


def test_a_further_community_joins_a_node_and_leaves_what_was_written_by_hand(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "node"
    init(folder, name="elm")
    path = folder / "node.toml"
    path.write_text("# mine\n" + path.read_text())
    init(folder, name="oak", members=1)
    assert list(places_of(folder)) == ["elm", "oak"]
    assert path.read_text().startswith("# mine\n")
    with pytest.raises(SetupUnusable, match=r"change its chain, key"):
        init(folder, name="ash", listen="0.0.0.0:80")
    path.write_text(path.read_text().replace('communities = ["', 'communities = [\n"'))
    init(folder, name="ash")
    assert list(places_of(folder)) == ["elm", "oak", "ash"]
    path.write_text(path.read_text().replace("communities = ", "# communities = "))
    with pytest.raises(SetupUnusable, match="names no communities"):
        init(folder, name="fir")
    assert not (folder / "fir.toml").exists()


# Members and meters


def test_members_and_meters_are_added_and_what_was_written_by_hand_stays(tmp_path: Path) -> None:
    folder = tmp_path / "elm"
    init(folder, members=1)
    path = folder / "community.toml"
    path.write_text("# mine\n" + path.read_text())
    assert "no meter is in it" in lacks(place_of(folder, None).community, None)[0]
    init(folder, AddOptions(add_member="bakery", account=ACCOUNT))
    init(folder, AddOptions(add_member="school"), advance="7")
    meter = a_meter(ledger_of(folder))
    init(folder, AddOptions(meter=told(tmp_path, meter), member=2, rated_w=17_250, zone="DE-LU"))
    file = place_of(folder, "elm").community
    assert [member.name for member in file.members] == ["member 0", "bakery", "school"]
    assert [member.advance for member in file.members] == ["50", "50", "7"]
    assert read_account(folder / "keys" / "elm-2.key").address == file.members[2].account
    assert file.meters == (
        MeterEntry(2, "grid", 17_250, "DE-LU", "2016-06-21T00:00:00Z", meter["public_key"],
                   meter["opening"], meter["signature"]),
    )  # fmt: skip
    assert path.read_text().startswith("# mine\n")
    [lack] = lacks(file, ledger_of(folder))
    assert lack.startswith(
        "no meter of role grid stands at the connection of member 0, 1: add it with commonwatt init"
    )
    assert "was set up for ledger" in lacks(file, bytes(8))[1]


@pytest.mark.parametrize(
    ("change", "wishes", "said"),
    [
        ({"ledger": b"elsewhere"[:8]}, {}, "was set up for ledger 656c7365"),
        ({"sequence": 1}, {}, "not an opening record"),
        ({"meter": bytes(20)}, {}, "not an opening record"),
        ({}, {"role": "storage"}, "was set up as grid, not storage"),
        ({}, {"rated_w": None}, "give --rated-w"),
        ({}, {"tokens": True}, "for role generation"),
        ({}, {"source": "T010100"}, "for role generation"),
        ({}, {"member": 9}, "member 9: there are 2"),
        ({}, {"zone": "Mitteleuropaeische"}, "at most 16 printable"),
    ],
    ids=str,
)
def test_a_meter_that_cannot_be_is_not_added(
    change: dict[str, Any], wishes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    folder = tmp_path / "elm"
    init(folder)
    before = (folder / "community.toml").read_bytes()
    file = told(tmp_path, a_meter(**({"ledger": ledger_of(folder)} | change)))
    with pytest.raises((MeterFileUnusable, CommunityFileUnusable), match=said):
        add_meter(
            place_of(folder, None), file, MeterWishes(**({"member": 0, "rated_w": 1} | wishes))
        )
    assert (folder / "community.toml").read_bytes() == before


def test_a_meter_is_added_once_and_only_from_a_file_that_tells_of_one(tmp_path: Path) -> None:
    folder = tmp_path / "elm"
    init(folder)
    meter, wishes = a_meter(ledger_of(folder)), MeterWishes(0, rated_w=1)
    add_meter(place_of(folder, None), told(tmp_path, meter), wishes)
    with pytest.raises(MeterFileUnusable, match="already"):
        add_meter(place_of(folder, None), told(tmp_path, meter), wishes)
    for document in (None, {}, {**meter, "opening": "x"}, {**meter, "public_key": "00" * 64}):
        with pytest.raises(MeterFileUnusable):
            add_meter(place_of(folder, None), told(tmp_path, document), wishes)
    with pytest.raises(MeterFileUnusable, match="cannot be read"):
        add_meter(place_of(folder, None), tmp_path / "none.json", wishes)


def test_a_file_with_members_of_another_form_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "elm"
    init(folder, members=1)
    path = folder / "community.toml"
    head, _, _ = path.read_text().partition("# member 0")
    inline = f'members = [{{ name = "a", account = "{ACCOUNT}" }}]\n'
    path.write_text(inline + head)
    before = path.read_bytes()
    with pytest.raises(CommunityFileUnusable, match="not TOML"):
        init(folder, AddOptions(add_member="b", account=ACCOUNT))
    assert path.read_bytes() == before


# The ledger that is to be


def test_the_ledger_told_beforehand_is_the_one_that_is_founded(tmp_path: Path) -> None:
    folder = make_bed(tmp_path / "bed")
    place = place_of(folder, None)
    before = outlook_of(folder, place.settings, place.community)
    assert before.stage is Stage.PLANNED
    assert before.operator == demonstration_account("operator").address_bytes
    bed = Bed(folder)
    try:
        assert bed.hosted.community.chain == before.chain
        assert all(isinstance(verdict, Accepted) for verdict in bed.interval())
        # A running node has the embedded chain open; it is asked nothing that needs it.
        after = outlook_of(folder, place.settings, place.community)
        assert (after.chain, after.stage) == (before.chain, Stage.FOUNDED)
    finally:
        bed.close()
    assert outlook_of(folder, place.settings, place.community) == after
    meter = told(tmp_path, a_meter(before.chain.ledger))
    for add in (AddOptions(add_member="late"), AddOptions(meter=meter, member=0, rated_w=1)):
        with pytest.raises(SetupUnusable, match="it is founded, so its members and meters are"):
            init(folder, add)
    assert not (folder / "keys").exists()


def test_a_test_bed_has_the_meters_of_its_scenario(tmp_path: Path) -> None:
    folder = make_bed(tmp_path / "bed", days=2, name="hill")
    file = place_of(folder, "hill").community
    assert len(file.meters) == 31
    assert {meter.role for meter in file.meters} == {"grid", "generation", "storage"}
    assert lacks(file, ledger_of(folder)) == []
    seed = f"{SCENARIO}/0/GRID".encode()
    assert file.meters[0].public_key == MeterKey.from_seed(b"meter/" + seed).public_key.hex()
    assert (
        meter_id(bytes.fromhex(file.meters[0].public_key))
        == MeterKey.from_seed(b"meter/" + seed).meter
    )


def test_without_its_database_a_node_can_be_made_and_its_ledger_is_told_later(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init(tmp_path / "elm", database="postgresql://node:hidden-word@127.0.0.1:9/elm")
    said = capsys.readouterr().out
    assert "whether it is founded is known once the database answers: postgresql" in said
    assert "hidden" not in said


def test_without_its_chain_a_node_can_be_made_and_its_ledger_is_told_later(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "elm"
    init(folder, chain="http://me:hidden-word@127.0.0.1:9/v3/hidden-key")
    said = capsys.readouterr().out
    assert "the ledger is known once the chain answers: http://127.0.0.1:9/***: no chain" in said
    assert "hidden" not in said
    assert "send ether" in said
    place = place_of(folder, None)
    assert stage_of(folder, place.settings, place.community) is Stage.PLANNED
    with pytest.raises(ChainUnreachable):
        add_meter(place, told(tmp_path, a_meter(bytes(8))), MeterWishes(0, rated_w=1))
