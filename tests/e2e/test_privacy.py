"""What members may not see of each other is not in what they get."""

import json
from pathlib import Path

import pytest

from commandline import Answer
from commonwatt.audit.published import read_community
from commonwatt.meter.record import Record
from commonwatt.microgrid import load_scenario
from commonwatt.node.folder import FolderFiles
from commonwatt.statement.leaves import TradeLeaf

pytestmark = pytest.mark.xdist_group("village")  # one worker runs that day, for all who look at it


def lines_of(folder: Path) -> list[dict]:
    paths = sorted(folder.glob("*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def test_a_members_folder_shows_nothing_of_any_other_member(village: tuple[Path, Answer]) -> None:
    folder, _ = village
    community = read_community(FolderFiles(folder))
    secrets: dict[int, set[str]] = {member: set() for member in range(len(community.accounts))}
    for registration in community.registrations:
        secrets[registration.member] |= {
            registration.meter.hex(),
            registration.public_key.hex(),
            registration.opening.digest.hex(),
        }
    for member, account in enumerate(community.accounts):
        secrets[member].add(account.hex())
        for line in lines_of(folder / f"members/{member:03d}"):
            for entry in line["leaves"]:
                if entry["section"] == "records":
                    record = Record.decode(bytes.fromhex(entry["record"]))
                    registers = record.import_mwh.to_bytes(8) + record.export_mwh.to_bytes(8)
                    secrets[member] |= {entry["record"], entry["leaf"], registers.hex()}
                elif entry["section"] == "positions":
                    secrets[member].add(entry["leaf"])
    for member, own in secrets.items():
        seen = "".join(
            path.read_text() for path in sorted((folder / f"members/{member:03d}").rglob("*"))
        )
        assert any(secret in seen for secret in own), "it sees its own"
        for other in secrets.keys() - {member}:
            found = [secret for secret in secrets[other] if secret in seen]
            assert not found, f"member {member} sees {found[:1]} of member {other}"


def test_a_trade_partner_has_another_name_every_time(village: tuple[Path, Answer]) -> None:
    folder, _ = village
    for own in sorted((folder / "members").iterdir()):
        names: list[bytes] = []
        for line in lines_of(own):
            parties = set()
            for entry in line["leaves"]:
                if entry["section"] == "trades":
                    leaf = TradeLeaf.decode(bytes.fromhex(entry["leaf"]))
                    parties |= {leaf.seller, leaf.buyer}
            names += parties
        assert len(names) == len(set(names)), f"{own.name} could follow a partner through the day"


def test_no_published_file_has_a_participants_name(village: tuple[Path, Answer]) -> None:
    folder, _ = village
    names = [home.name for home in load_scenario("village").homes]
    assert len(names) == 13
    for top in ("public", "members", "audit"):
        for path in sorted((folder / top).rglob("*.json*")):
            text = path.read_text()
            assert not [name for name in names if name in text], path


def test_what_everybody_gets_has_sums_and_roots_only(village: tuple[Path, Answer]) -> None:
    folder, _ = village
    for line in lines_of(folder / "public"):
        assert set(line) == {"start", "header", "anchor", "transaction"}
