"""A chain inside the process: Ethereum's executable specification, a journal and an RPC face.

Nothing has to be installed or started to keep a community's ledger. The embedded chain runs the
contracts with `ethereum-execution`, Ethereum's own specification (Osaka rules), one block per
transaction, and answers the same JSON-RPC methods as any node, so that everything above it works
unchanged on a public or consortium chain.

| module | knows |
|---|---|
| `chain` | one chain: executes, journals, then acknowledges |
| `engine` | the specification: state, transactions, calls |
| `speedups` | what is remembered instead of done again |
| `journal` | the SQLite file: transactions, headers, receipts, logs |
| `snapshot` | the whole state as rows, to start without replaying everything |
| `rpc` | the JSON-RPC methods |
| `provider` | the way in for web3.py |
"""

from commonwatt.chain.embedded.chain import EmbeddedChain

__all__ = ("EmbeddedChain",)
