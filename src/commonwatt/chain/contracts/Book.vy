# pragma version 0.4.3
# SPDX-License-Identifier: Apache-2.0
"""
@title Book
@license Apache-2.0
@notice The head of the book: certificates that are kept off this chain live in a list of entries,
        each naming the hash of the one before. Whoever has the list and the head posted here knows
        that no entry is missing, altered or put in between.
@dev The posts alone say how the book grew; the entries are checked where they are read.
"""

interface Registry:
    def issuer() -> address: view

registry: public(immutable(address))

# Entries up to the head, and the hash of the last of them.
count: public(uint256)
head: public(bytes32)

event Posted:
    count: indexed(uint256)
    head: indexed(bytes32)


@deploy
def __init__(registry_: address):
    """
    @notice Start with an empty book.
    @param registry_ Whose issuer keeps it.
    """
    assert registry_.is_contract, "book: registry is not a contract"
    registry = registry_


@external
def post(count: uint256, head: bytes32):
    """
    @notice Say how far the book has come. Only the issuer may.
    @param count Entries in all; more than the last time.
    @param head Hash of the last entry.
    """
    self._require_issuer()
    assert count > self.count, "book: nothing new"
    assert head != empty(bytes32), "book: no head"
    self.count = count
    self.head = head
    log Posted(count=count, head=head)


@internal
@view
def _require_issuer():
    """
    @notice Refuse everybody but the issuer of the registry, whoever that is now.
    """
    issuer: address = staticcall Registry(registry).issuer()
    assert msg.sender == issuer, "book: caller is not the issuer"
