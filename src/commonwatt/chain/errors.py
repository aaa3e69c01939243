"""What can go wrong between us and a chain.

::

    ChainError                    every one of them is one line that says what to do next
      JournalError                the file of an embedded chain
        JournalLocked             another process has it open
        JournalDamaged            what is stored is not what was written
        JournalUnwritable         the disk is full or read-only; nothing was half-written
      ChainUnreachable            the node does not answer
      NodeRefused                 the node answered with an error
      ReceiptMissing              sent, but not in a block within the time allowed
      Reverted                    a contract refused, and says why
        TransactionReverted       in a block, and undone
        CallReverted              a call or an estimate; nothing was sent
"""

from pathlib import Path

from commonwatt.errors import InputError


class ChainError(InputError):
    """The chain could not do what was asked."""


class JournalError(ChainError):
    """The file of an embedded chain cannot be used."""


class JournalLocked(JournalError):
    """Another process has the journal open."""

    def __init__(self, path: Path) -> None:
        """Name the journal."""
        super().__init__(
            f"{path}: this chain is open in another process; wait until it has finished, or stop it"
        )
        self.path = path


class JournalDamaged(JournalError):
    """What the journal holds is not what was written into it."""

    def __init__(self, path: Path | None, what: str, *, block: int | None = None) -> None:
        """Name the journal, what is wrong and, where known, the first block concerned."""
        where = "" if block is None else f"block {block}: "
        super().__init__(
            f"{path or 'chain in memory'}: {where}{what}; restore the file from a backup"
        )
        self.path, self.block = path, block


class JournalUnwritable(JournalError):
    """The journal could not be written; the chain is as it was before."""

    def __init__(self, path: Path | None, why: object) -> None:
        """Name the journal and the reason the database gave."""
        super().__init__(
            f"{path or 'chain in memory'}: cannot be opened or written ({why}); nothing was "
            "changed: check that the folder is there, its permissions and its free space"
        )
        self.path = path


class ChainUnreachable(ChainError):
    """The node at a URL does not answer."""

    def __init__(self, url: str, why: object) -> None:
        """Name the URL and the reason."""
        super().__init__(f"{url}: no chain answers ({why}); is the node running and the URL right?")
        self.url = url


class NodeRefused(ChainError):
    """The node answered a request with an error."""

    def __init__(self, method: str, *, code: int, message: str, data: str | None = None) -> None:
        """Keep the JSON-RPC error as the node gave it."""
        super().__init__(f"{method}: the node refused: {message} (code {code})")
        self.method, self.code, self.message, self.data = method, code, message, data


class ReceiptMissing(ChainError):
    """A transaction was sent and did not appear in a block in time."""

    def __init__(self, tx_hash: bytes, *, waited_seconds: float) -> None:
        """Name the transaction and how long it was waited for."""
        super().__init__(
            f"transaction 0x{tx_hash.hex()} is not in a block after {waited_seconds:.0f} s; "
            "it may still arrive: look it up before sending it again"
        )
        self.tx_hash = tx_hash


class Reverted(ChainError):
    """A contract refused; `reason` is its own text, `settlement: interval already closed`."""

    def __init__(self, message: str, *, reason: str) -> None:
        """Keep the contract's reason apart from the message."""
        super().__init__(message)
        self.reason = reason


class TransactionReverted(Reverted):
    """A transaction is in a block, and the contract undid it."""

    def __init__(self, reason: str, *, tx_hash: bytes, block_number: int, gas_used: int) -> None:
        """Keep the contract's reason and where the transaction is."""
        super().__init__(
            f"transaction 0x{tx_hash.hex()} in block {block_number} was undone: {reason}",
            reason=reason,
        )
        self.tx_hash, self.block_number, self.gas_used = tx_hash, block_number, gas_used


class CallReverted(Reverted):
    """A contract refused to answer a call, or an estimate; nothing was sent."""

    def __init__(self, reason: str, *, data: bytes = b"") -> None:
        """Keep the contract's reason, and what it returned with it."""
        super().__init__(f"the contract refused: {reason}", reason=reason)
        self.data = data
