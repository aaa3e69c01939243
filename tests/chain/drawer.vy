# pragma version 0.4.3
"""A contract for the tests: it does all that the engine does something special for."""

event Filed:
    drawer: indexed(uint256)
    clerk: indexed(address)
    amount: uint256

interface Drawer:
    def file(drawer: uint256, amount: uint256): nonpayable
    def file_twice(drawer: uint256, amount: uint256): nonpayable

drawers: public(HashMap[uint256, uint256])
count: public(uint256)
copies: public(HashMap[uint256, address])
stamp: transient(uint256)


@external
def file(drawer: uint256, amount: uint256):
    """Set, change or clear a slot; 13 is refused, and a refusal must leave no trace."""
    self.drawers[drawer] = amount
    self.count += 1
    log Filed(drawer=drawer, clerk=msg.sender, amount=amount)
    assert amount != 13, "drawer: unlucky"


@external
def file_twice(drawer: uint256, amount: uint256):
    """Write a slot, and again: gas depends on what was there before the transaction."""
    self.drawers[drawer] = amount + 1
    self.stamp += 1
    self.drawers[drawer] = amount
    self.stamp += self.drawers[drawer] % 7
    self.drawers[drawer + 1] = self.stamp


@external
def file_within(drawer: uint256, amount: uint256):
    """Let a frame below fail, or not, and go on either way."""
    self.drawers[drawer] = 5
    ok: bool = raw_call(
        self,
        abi_encode(drawer, amount, method_id=method_id("file(uint256,uint256)")),
        revert_on_failure=False,
    )
    if not ok:
        self.drawers[drawer + 1] += 1
    digest: bytes32 = sha256(abi_encode(drawer, amount))
    self.drawers[drawer + 2] = convert(digest, uint256)
    log Filed(drawer=drawer, clerk=self, amount=self.drawers[drawer])


@external
def copy_to(drawer: uint256, amount: uint256):
    """Create a contract, use it, and perhaps undo all of it."""
    made: address = create_copy_of(self)
    extcall Drawer(made).file_twice(drawer, amount)
    self.copies[drawer] = made
    assert amount != 13, "drawer: unlucky copy"


@external
def clear(drawer: uint256, amount: uint256):
    """Clear several slots for the refund."""
    for i: uint256 in range(amount % 8, bound=8):
        self.drawers[drawer + i] = 0


@external
def burn(drawer: uint256, amount: uint256):
    """Use up all the gas there is."""
    for i: uint256 in range(1_000_000):
        self.drawers[drawer + i] = 1


@external
@view
def elsewhere(number: uint256) -> bytes32:
    """The hash of an earlier block."""
    return blockhash(number)


@external
@view
def when() -> uint256:
    """The time of the block."""
    return block.timestamp


@external
@view
def divided(one: uint256, other: uint256) -> uint256:
    """Fails with a panic if told to divide by nothing."""
    return one // other
