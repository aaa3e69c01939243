"""The community's lanes on a chain, as the pipeline needs them."""

from collections.abc import Sequence

from commonwatt.audit.facts import GRID_LANE, SUPPLIER_LANE
from commonwatt.chain.connection import Account
from commonwatt.chain.errors import Reverted
from commonwatt.chain.ledger import Ledger
from commonwatt.errors import require
from commonwatt.node.pipeline import LaneFunds, Payment
from commonwatt.statement.header import Header


class LedgerTreasury:
    """A `Treasury` over a `Ledger`."""

    def __init__(self, ledger: Ledger, closer: Account) -> None:
        """Close with the account that may."""
        self._ledger, self._closer = ledger, closer

    def funds(self) -> LaneFunds:
        """The lanes now."""
        ledger = self._ledger
        return LaneFunds(
            flows=ledger.flows(),
            balances=ledger.balances(),
            supplier=ledger.balance(SUPPLIER_LANE),
            grid_operator=ledger.balance(GRID_LANE),
        )

    def pay(self, header: bytes, deltas: Sequence[bytes]) -> Payment | None:
        """Close an interval on the chain; None if its lanes have moved since it was stated."""
        try:
            receipt = self._ledger.close(self._closer, header, deltas)
        except Reverted:
            if self._ledger.flows() == Header.decode(header).flows:
                raise
            return None
        return Payment(receipt.tx_hash, receipt.gas_used)

    def paid(self, start: int, anchor: bytes) -> Payment | None:
        """The close of an interval, if the chain has it."""
        if self._ledger.anchor(start) is None:
            return None
        closes = {close.start: close for close in self._ledger.facts().closes}
        close = closes[start]
        require("the chain has this node's anchor", close.anchor == anchor, start=start)
        receipt = self._ledger.connection.receipt(close.transaction)
        return Payment(close.transaction, receipt.gas_used if receipt else 0)
