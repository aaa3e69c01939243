# pragma version 0.4.3
# SPDX-License-Identifier: Apache-2.0
"""
@title Euro
@license Apache-2.0
@notice A plain ERC-20 token for embedded and test chains. Elsewhere a community settles in any
        ERC-20 it trusts.
@dev Whoever deploys the contract mints. A minted unit is a promise of the minter, no more.
"""

from ethereum.ercs import IERC20
from ethereum.ercs import IERC20Detailed

implements: IERC20
implements: IERC20Detailed

minter: public(immutable(address))
decimals: public(immutable(uint8))

name: public(String[32])
symbol: public(String[8])
totalSupply: public(uint256)
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])

event Transfer:
    sender: indexed(address)
    receiver: indexed(address)
    value: uint256

event Approval:
    owner: indexed(address)
    spender: indexed(address)
    value: uint256


@deploy
def __init__(name_: String[32], symbol_: String[8], decimals_: uint8):
    """
    @notice Create the token; the deployer becomes its minter.
    @param name_ Name for display.
    @param symbol_ Short name for display.
    @param decimals_ How many decimal digits one currency unit has in token units.
    """
    self.name = name_
    self.symbol = symbol_
    decimals = decimals_
    minter = msg.sender


@external
def transfer(receiver: address, amount: uint256) -> bool:
    """
    @notice Move the caller's units.
    @param receiver Who gets them.
    @param amount How many.
    @return Always true; what is not possible reverts.
    """
    self._move(msg.sender, receiver, amount)
    return True


@external
def transferFrom(owner: address, receiver: address, amount: uint256) -> bool:
    """
    @notice Move another's units, within what that owner has allowed the caller.
    @param owner Whose units.
    @param receiver Who gets them.
    @param amount How many.
    @return Always true; what is not possible reverts.
    """
    allowed: uint256 = self.allowance[owner][msg.sender]
    # The greatest number stands for "without limit" and is not counted down.
    if allowed != max_value(uint256):
        assert allowed >= amount, "euro: allowance too small"
        self._approve(owner, msg.sender, unsafe_sub(allowed, amount))
    self._move(owner, receiver, amount)
    return True


@external
def approve(spender: address, amount: uint256) -> bool:
    """
    @notice Allow another to move the caller's units.
    @param spender Who may.
    @param amount How many in all; replaces an earlier allowance.
    @return Always true.
    """
    self._approve(msg.sender, spender, amount)
    return True


@external
def mint(receiver: address, amount: uint256):
    """
    @notice Create units. Only the minter may.
    @param receiver Who gets them.
    @param amount How many.
    """
    assert msg.sender == minter, "euro: caller is not the minter"
    assert receiver != empty(address), "euro: no receiver"
    self.totalSupply += amount
    self.balanceOf[receiver] += amount
    log Transfer(sender=empty(address), receiver=receiver, value=amount)


@external
def burn(amount: uint256):
    """
    @notice Destroy the caller's own units, as when they are paid out in cash.
    @param amount How many.
    """
    assert self.balanceOf[msg.sender] >= amount, "euro: balance too small"
    self.balanceOf[msg.sender] -= amount
    self.totalSupply -= amount
    log Transfer(sender=msg.sender, receiver=empty(address), value=amount)


@internal
def _approve(owner: address, spender: address, amount: uint256):
    """
    @notice Set an allowance and say so.
    """
    self.allowance[owner][spender] = amount
    log Approval(owner=owner, spender=spender, value=amount)


@internal
def _move(sender: address, receiver: address, amount: uint256):
    """
    @notice Move units and say so.
    """
    assert receiver != empty(address), "euro: no receiver"
    held: uint256 = self.balanceOf[sender]
    assert held >= amount, "euro: balance too small"
    self.balanceOf[sender] = unsafe_sub(held, amount)
    self.balanceOf[receiver] += amount
    log Transfer(sender=sender, receiver=receiver, value=amount)
