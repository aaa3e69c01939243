"""Acting on the chain: who signs, what is asked before, and what is said after."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from commonwatt.chain.abi import contract
from commonwatt.chain.account import Account
from commonwatt.chain.calls import CONTRACT_OF
from commonwatt.chain.connection import Receipt
from commonwatt.chain.errors import Reverted
from commonwatt.chain.production import TokenId
from commonwatt.cli.certificate_run import (
    CertificateRefused,
    Run,
    Where,
    Who,
    opened_run,
    signer_of,
)
from commonwatt.cli.certificate_words import (
    id_text,
    moment,
    print_json,
    printable,
)


@dataclass(frozen=True, slots=True)
class Act:
    """A run, and who acts on it."""

    run: Run
    account: Account

    def ask(self, where: str, function: str, *values: object) -> None:
        """Raise `CertificateRefused` if a contract would refuse; nothing is sent."""
        with self.refusals():
            self.call(where, function, *values)

    def call(self, where: str, function: str, *values: object) -> None:
        """Call a function in this account's name, and throw away what it does."""
        at = "0x" + getattr(self.run.ledger.addresses, where).hex()
        data = contract(CONTRACT_OF[where]).data(function, *values)
        self.run.ledger.connection.call(at, data, self.account.address)

    @contextmanager
    def refusals(self, left: str = "nothing was changed") -> Iterator[None]:
        """Put a contract's reason into one line; `left` says how things are then."""
        try:
            yield
        except Reverted as refusal:
            raise CertificateRefused(
                f"{self.account.address}: refused: {refusal.reason}; {left}"
            ) from None

    def tell(
        self, words: str, answer: dict[str, object], receipt: Receipt, *, as_json: bool
    ) -> None:
        """Say what happened, with its transaction."""
        transaction = "0x" + receipt.tx_hash.hex()
        if as_json:
            sender = self.account.address
            print_json(
                {
                    **answer,
                    "account": sender,
                    "transaction": transaction,
                    "block": receipt.block_number,
                    "gas": receipt.gas_used,
                }
            )
        else:
            print(f"{printable(words)}; transaction {transaction}")


@contextmanager
def acting(where: Where, who: Who) -> Iterator[Act]:
    """A run's chain, and the account that acts on it."""
    with opened_run(where) as run:
        yield Act(run, signer_of(run, who))


def units_json(token: TokenId, wh: int) -> dict[str, object]:
    """Which units an act was about."""
    return {
        "id": id_text(token),
        "meter": token.meter.hex(),
        "start": moment(token.start),
        "wh": wh,
    }
