"""The ledger everyone shares: contracts, the embedded chain, and the connection to any chain.

Nothing heavy is loaded by importing this package; Ethereum's specification is loaded when an
embedded chain is made, web3 only by `embedded.provider`, for those who want to use it.
"""
