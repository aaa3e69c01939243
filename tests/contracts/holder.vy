# pragma version 0.4.3
"""
@title Holder
@notice A contract that owns certificates, for tests: it takes them or not, and may call back.
"""

takes: bool
target: address
again: Bytes[2048]


@deploy
def __init__(takes: bool):
    """
    @notice Say whether it takes certificates.
    """
    self.takes = takes


@external
def change_mind(takes: bool):
    """
    @notice Take certificates from now on, or no more.
    """
    self.takes = takes


@external
def call_back(target: address, again: Bytes[2048]):
    """
    @notice What to do while certificates arrive.
    """
    self.target = target
    self.again = again


@external
def run(target: address, data: Bytes[2048]):
    """
    @notice Do something in this contract's name.
    """
    raw_call(target, data)


@external
def onERC1155Received(
    operator: address, sender: address, id: uint256, amount: uint256, data: Bytes[1024]
) -> bytes4:
    """
    @notice One certificate arrives.
    """
    if self.target != empty(address):
        raw_call(self.target, self.again)
    return 0xf23a6e61 if self.takes else 0x00000000


@external
def onERC1155BatchReceived(
    operator: address,
    sender: address,
    ids: DynArray[uint256, 64],
    amounts: DynArray[uint256, 64],
    data: Bytes[1024],
) -> bytes4:
    """
    @notice Several certificates arrive.
    """
    if self.target != empty(address):
        raw_call(self.target, self.again)
    return 0xbc197c81 if self.takes else 0x00000000
