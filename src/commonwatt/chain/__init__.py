"""The ledger everyone shares: contracts, the embedded chain, and the connection to any chain.

Nothing heavy is loaded by importing this package; Ethereum's specification is loaded when an
embedded chain is made, and eth-account when an account first signs.
"""
