"""Reading from a chain what happened to the units of some meters, and nothing else."""

from collections.abc import Container, Mapping, Sequence

from commonwatt.audit.facts import Escrow, Movement
from commonwatt.chain.abi import contract
from commonwatt.chain.ledger import Ledger
from commonwatt.chain.unit_events import UnitEvents


def read_history(
    ledger: Ledger, meters: Container[bytes]
) -> tuple[Sequence[Movement], Mapping[bytes, Escrow]]:
    """All that happened to units of some meters, in order, and the escrows they were in."""
    events = UnitEvents(meters)
    known = contract("Certificate").topics
    readers = {known[name]: read for name, read in events.readers().items()}
    at = "0x" + ledger.addresses.certificate.hex()
    for log in ledger.connection.logs(at, [list(readers)]):
        readers[log.topics[0]](log)
    return events.movements, events.used_escrows()
