"""A chain inside the process: Ethereum's executable specification, a journal and an RPC face.

Nothing has to be installed or started to keep a community's ledger. The embedded chain runs the
contracts with `ethereum-execution`, Ethereum's own specification (Osaka rules), one block per
transaction, and answers the same JSON-RPC methods as any node, so that everything above it works
unchanged on a public or consortium chain.

| module | knows |
|---|---|
| `chain` | one chain: makes a block, journals it, then acknowledges it |
| `producer` | the head, and how the next block is made |
| `engine` | the specification: transactions that change a state, calls that do not |
| `world` | the state, what changed in it, its root |
| `trie` | Merkle Patricia tries that recompute only what changed |
| `speedups`, `arithmetic` | what is remembered instead of done again |
| `deferred` | what is imported only when it is called |
| `block`, `header` | a block as plain values, and the header that follows from it |
| `journal` | the SQLite file: transactions, headers, receipts, logs |
| `snapshot` | the whole state as rows, to start without executing everything again |
| `rpc`, `logs`, `shapes` | the JSON-RPC methods and their forms |
| `provider` | the way in for web3.py |

How far it can be trusted: each header carries the state root and the hash of the one before, so
the history cannot be changed unnoticed by anybody who knows a later hash. There is one validator,
and it could write another history from the start; who must not have to trust it, uses a network.
Headers are Osaka's in every field, but not those of a public chain: the base fee is zero, several
blocks may have the same time, and the contracts of the consensus layer are absent.
"""

# ruff: noqa: E402 - before anything imports the specification
from commonwatt.chain.embedded.deferred import defer

defer()

from commonwatt.chain.embedded.chain import EmbeddedChain

__all__ = ("EmbeddedChain",)
