# pragma version 0.4.3
"""
@title Odd token
@notice A token, for tests, with the habits that tokens in the wild have.
"""

# 0 behaves | 1 answers false | 2 keeps a unit of each payment | 3 answers nothing | 4 calls back
habit: public(uint256)
balanceOf: public(HashMap[address, uint256])
target: address
again: Bytes[1024]


@deploy
def __init__(habit: uint256):
    """
    @notice Give the deployer a thousand units.
    """
    self.habit = habit
    self.balanceOf[msg.sender] = 1000


@external
def call_back(target: address, again: Bytes[1024]):
    """
    @notice What to do while a payment is under way.
    """
    self.target = target
    self.again = again


@external
def set_habit(habit: uint256):
    """
    @notice Change the habit.
    """
    self.habit = habit


@external
@raw_return
def transfer(receiver: address, amount: uint256) -> Bytes[32]:
    """
    @notice Pay.
    """
    return self._move(msg.sender, receiver, amount)


@external
@raw_return
def transferFrom(owner: address, receiver: address, amount: uint256) -> Bytes[32]:
    """
    @notice Pay for another, without asking for leave.
    """
    return self._move(owner, receiver, amount)


@internal
def _move(owner: address, receiver: address, amount: uint256) -> Bytes[32]:
    """
    @notice Pay, in its own way.
    """
    if self.habit == 1:
        return abi_encode(False)
    if self.habit == 4:
        raw_call(self.target, self.again)
    self.balanceOf[owner] -= amount
    self.balanceOf[receiver] += amount - 1 if self.habit == 2 else amount
    if self.habit == 3:
        return b""
    return abi_encode(True)
