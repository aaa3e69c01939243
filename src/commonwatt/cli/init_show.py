"""`commonwatt init --show`: where a community is or will be, and what it still needs."""

import json
import shlex

from commonwatt.chain.account import checksum
from commonwatt.chain.errors import ChainError
from commonwatt.node.errors import DatabaseUnusable
from commonwatt.node.service.additions import Place, places_of
from commonwatt.node.service.finding import counted
from commonwatt.node.service.outlook import Outlook, Stage, lacks, outlook_of, stage_of
from commonwatt.node.service.redaction import shown_url

COLUMN = 13


def show(place: Place, *, as_json: bool) -> int:
    """Print it; the exit code is 0 whatever is missing."""
    outlook, away = looked_at(place)
    ledger = None if outlook is None else outlook.chain.ledger
    stage = Stage.PLANNED if outlook is None else outlook.stage
    missing = [away] if away else []
    if stage is not Stage.FOUNDED:
        missing += [told(place, what) for what in lacks(place.community, ledger)]
    if as_json:
        _print_json(place, outlook, stage, missing)
        return 0
    row("community", f"{place.community.name}: {stage.value}")
    print_chain(place, outlook)
    members = counted(len(place.community.members), "member")
    row("has", f"{members}, {counted(len(place.community.meters), 'meter')}")
    for what in missing:
        row("missing", what)
    if not missing and stage is not Stage.FOUNDED:
        own = shlex.quote(str(place.folder))
        print_next(f"commonwatt doctor {own}", f"commonwatt serve {own}")
    return 0


def _print_json(place: Place, outlook: Outlook | None, stage: Stage, missing: list[str]) -> None:
    found = {
        "name": place.community.name,
        "stage": stage.name.lower(),
        "chain_id": None if outlook is None else outlook.chain.chain_id,
        "operator": None if outlook is None else checksum(outlook.operator),
        "ledger": None if outlook is None else outlook.chain.ledger.hex(),
        "members": len(place.community.members),
        "meters": len(place.community.meters),
        "missing": missing,
    }
    print(json.dumps(found))


def print_chain(place: Place, outlook: Outlook | None) -> None:
    """The lines about chain, operator and ledger, as far as they are known."""
    url = place.settings.chain.url
    where = "embedded, in this directory" if url is None else shown_url(url)
    row("chain", where if outlook is None else f"{where}, id {outlook.chain.chain_id}")
    if outlook is not None:
        row("operator", f"{checksum(outlook.operator)}, key in {place.settings.chain.key}")
        row("ledger", outlook.chain.ledger.hex())


def looked_at(place: Place) -> tuple[Outlook | None, str]:
    """Where the community is or will be; or why nobody knows yet."""
    before = _founded_first(place)
    if before is not None:
        return None, (
            f"the ledger is known once community {before} is founded, which has the same account "
            f"on the same chain: commonwatt serve {place.folder} founds it"
        )
    try:
        return outlook_of(place.folder, place.settings, place.community), ""
    except ChainError as error:
        return None, f"the ledger is known once the chain answers: {told(place, str(error))}"
    except DatabaseUnusable as error:
        return None, f"whether it is founded is known once the database answers: {error}"


def _founded_first(place: Place) -> str | None:
    """A community of the same account on the same chain that is to be founded before this one."""
    if place.settings.chain.url is None:
        return None  # each has an embedded chain of its own
    for name, other in places_of(place.folder).items():
        if name == place.community.name:
            return None
        try:
            if stage_of(other.folder, other.settings, other.community) is not Stage.FOUNDED:
                return name
        except (ChainError, DatabaseUnusable):
            return name
    return None


def told(place: Place, text: str) -> str:
    """A text with the node's own directory in it, and without what its URLs keep secret."""
    url = place.settings.chain.url
    text = text.replace("FOLDER", shlex.quote(str(place.folder)))
    return text if url is None else text.replace(url, shown_url(url))


def row(what: str, said: str) -> None:
    """One line for a person."""
    print(f"{what:<{COLUMN}}{said}")


def print_next(*steps: str) -> None:
    """What to do next, in order."""
    for number, step in enumerate(steps, 1):
        first, *more = step.split("\n")
        row("next" if number == 1 else "", f"{number}. {first}")
        for line in more:
            row("", f"   {line}")
