"""The community's lanes on a chain, as the pipeline needs them."""

from collections.abc import Sequence

from commonwatt.audit.facts import SUPPLIER_LANE
from commonwatt.chain.connection import Account
from commonwatt.chain.errors import Reverted
from commonwatt.chain.ledger import Ledger
from commonwatt.errors import require
from commonwatt.node.errors import ChainSetBack, FlowsMissing
from commonwatt.node.lanes import LaneFunds, Payment
from commonwatt.statement.header import Header

CONFIRM_S = 600.0
"""How long a close may take to be deep enough."""


class LedgerTreasury:
    """A `Treasury` over a `Ledger`."""

    def __init__(self, ledger: Ledger, closer: Account, confirmations: int = 1) -> None:
        """Close with the account that may.

        Args:
            ledger: the community's contracts.
            closer: the operator's account, or whom it named.
            confirmations: blocks, its own included, that must hold a close before it counts.
        """
        self._ledger, self._closer, self._confirmations = ledger, closer, confirmations

    def funds(self, known: LaneFunds | None) -> LaneFunds:
        """The lanes now; `known` if nobody paid in or out since they were so.

        Besides deposits and withdrawals only closes move lanes, and those are this node's own.
        """
        ledger = self._ledger
        if known is not None and ledger.flows() == known.flows:
            return known
        return LaneFunds(
            flows=ledger.flows(),
            balances=ledger.balances(),
            supplier=ledger.balance(SUPPLIER_LANE),
        )

    def pay(self, header: bytes, deltas: Sequence[bytes]) -> Payment | None:
        """Close an interval on the chain; None if its lanes have moved since it was stated.

        Raises:
            ChainSetBack: the chain lacks closes before it.
            FlowsMissing: it lacks deposits or withdrawals that the statement has seen.
        """
        try:
            receipt = self._ledger.close(self._closer, header, deltas)
        except Reverted:
            stated, flows = Header.decode(header), self._ledger.flows()
            last, duration, anchor, _ = self._ledger.last()
            if anchor != stated.previous and last + duration < stated.start:
                raise ChainSetBack(last + duration, stated.start) from None
            if flows < stated.flows:
                raise FlowsMissing(stated.start, seen=stated.flows, there=flows) from None
            if flows == stated.flows:
                raise
            return None
        self._confirm(receipt.tx_hash)
        return Payment(receipt.tx_hash, receipt.gas_used)

    def _confirm(self, transaction: bytes) -> None:
        """Wait until a close is as deep as it must be; one that got lost is missing again."""
        if self._confirmations > 1:
            self._ledger.connection.confirm(transaction, self._confirmations, CONFIRM_S)

    def paid(self, start: int, anchor: bytes) -> Payment | None:
        """The close of an interval, if the chain has it."""
        if self._ledger.anchor(start) is None:
            return None
        closes = {close.start: close for close in self._ledger.facts().closes}
        close = closes[start]
        require("the chain has this node's anchor", close.anchor == anchor, start=start)
        self._confirm(close.transaction)
        receipt = self._ledger.connection.receipt(close.transaction)
        return Payment(close.transaction, receipt.gas_used if receipt else 0)
