# pragma version 0.4.3
"""
@title Lax settlement
@notice A community's contract, for tests, that anchors whatever anybody tells it to.
"""

registry: public(address)
anchors: public(HashMap[uint256, bytes32])


@deploy
def __init__(registry: address):
    """
    @notice Name a registry.
    """
    self.registry = registry


@external
def appoint(closer: address):
    """
    @notice Nobody in particular closes.
    """
    pass


@external
def keep_up(members: uint256, roll: bytes32):
    """
    @notice What happens in the registry does not matter here.
    """
    pass


@external
def set_anchor(start: uint256, anchor: bytes32):
    """
    @notice Anchor anything.
    """
    self.anchors[start] = anchor
