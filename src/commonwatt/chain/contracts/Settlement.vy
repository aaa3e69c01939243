# pragma version 0.4.3
# SPDX-License-Identifier: Apache-2.0
"""
@title Settlement
@license Apache-2.0
@notice One community's money and its statements: members pay in and out of lanes, and each
        interval is closed by one call that anchors its statement and pays everybody.
@dev Six lanes of 42 bits share a storage slot. A lane holds its balance plus 2**40, so bit 40 set
     and bit 41 clear mean 0 <= balance < 2**40, and one mask shows it for all six. The supplier
     and the grid operator have 80 bits each. The sum of all lanes never exceeds
     what the contract holds of the token.
"""

from ethereum.ercs import IERC20

interface Registry:
    def account_of(community: address, member: uint256) -> address: view
    def operator_of(community: address) -> address: view

MEMBERS_MAX: constant(uint256) = 1500
SLOTS_MAX: constant(uint256) = 250
DELTAS_BYTES_MAX: constant(uint256) = SLOTS_MAX * 32

SUPPLIER_LANE: constant(uint256) = 2**32
GRID_LANE: constant(uint256) = 2**32 + 1

U32: constant(uint256) = 2**32 - 1
U64: constant(uint256) = 2**64 - 1

# Lanes. A delta word holds six changes of +-2**40, each with 2**40 added.
LANE_BITS: constant(uint256) = 42
LANES_PER_SLOT: constant(uint256) = 6
ONES: constant(uint256) = (
    (1 << 0) | (1 << 42) | (1 << 84) | (1 << 126) | (1 << 168) | (1 << 210)
)
BIAS: constant(uint256) = ONES << 40
RANGE_BITS: constant(uint256) = (ONES << 40) | (ONES << 41) | (15 << 252)
TOO_HIGH_BITS: constant(uint256) = ONES << 41
UNUSED_BITS: constant(uint256) = (ONES << 41) | (15 << 252)
LANE_MASK: constant(uint256) = 2**42 - 1
LANE_LIMIT: constant(uint256) = 2**40
# Every other lane, so that sums of 250 words have 84 bits to grow into.
EVEN_LANES: constant(uint256) = LANE_MASK | (LANE_MASK << 84) | (LANE_MASK << 168)
PAIR_MASK: constant(uint256) = 2**84 - 1

# The tally, one slot, written by each close:
# supplier's lane 80 | grid operator's lane 80 | last start 40 | last duration 16 | flows seen 40.
SUPPLIER_AT: constant(uint256) = 176
GRID_AT: constant(uint256) = 96
START_AT: constant(uint256) = 56
DURATION_AT: constant(uint256) = 40
WIDE_MASK: constant(uint256) = 2**80 - 1
START_MASK: constant(uint256) = 2**40 - 1
DURATION_MASK: constant(uint256) = 2**16 - 1
SEEN_MASK: constant(uint256) = 2**40 - 1

# The roster, one slot, only read by a close: closer 160 | members 32 | flows 64.
CLOSER_AT: constant(uint256) = 96
MEMBERS_AT: constant(uint256) = 64

# The statement's header: a body, whose hash alone is needed later, and a tail.
HEADER_BYTES: constant(uint256) = 488
BODY_BYTES: constant(uint256) = 420
TAIL_BYTES: constant(uint256) = 68
# version 1, any rule, any decimals, flags 0
VERSION_MASK: constant(uint256) = (255 << 24) | 255
VERSION_1: constant(uint256) = 1 << 24

# Certificates are for intervals between a minute and an hour.
DURATION_MIN: constant(uint256) = 60
DURATION_MAX: constant(uint256) = 3600

token: public(immutable(address))
registry: public(immutable(address))
supplier: public(immutable(address))
grid_operator: public(immutable(address))
ledger: public(immutable(bytes8))

roll: public(bytes32)
anchors: public(HashMap[uint256, bytes32])
tally: uint256
roster: uint256
slots: uint256[SLOTS_MAX]

event CloserChanged:
    closer: indexed(address)

event MembershipChanged:
    members: uint256
    roll: bytes32

event Moved:
    flow: indexed(uint256)
    lane: indexed(uint256)
    account: indexed(address)
    amount: int256

event Closed:
    start: indexed(uint256)
    duration: uint256
    anchor: bytes32
    flows: uint256
    supplier: int256
    grid: uint256
    deltas: Bytes[DELTAS_BYTES_MAX]


@deploy
def __init__(token_: address, registry_: address, supplier_: address, grid_operator_: address):
    """
    @notice Make a community's settlement; the registry's issuer then founds the community.
    @param token_ The ERC-20 in which the community pays.
    @param registry_ The registry that keeps its members.
    @param supplier_ Account of the supplier's lane.
    @param grid_operator_ Account of the grid operator's lane.
    """
    assert token_.is_contract, "settlement: token is not a contract"
    assert registry_.is_contract, "settlement: registry is not a contract"
    assert supplier_ != empty(address), "settlement: no supplier given"
    assert grid_operator_ != empty(address), "settlement: no grid operator given"
    token = token_
    registry = registry_
    supplier = supplier_
    grid_operator = grid_operator_
    # A statement, like a record, counts on one chain and one registry only.
    identity: bytes32 = sha256(
        concat(convert(chain.id, bytes32), convert(registry_, bytes20))
    )
    ledger = convert(slice(identity, 0, 8), bytes8)


@external
def close(header: Bytes[HEADER_BYTES], deltas: Bytes[DELTAS_BYTES_MAX]):
    """
    @notice Close an interval: anchor its statement and pay everybody. Only the closer may.
    @param header The statement's header, 488 bytes.
    @param deltas What each lane gains or loses: words of 32 bytes with six lanes each, a lane's
           change plus 2**40, the first lane lowest; lanes nobody has in the last word change by 0.
    """
    roster: uint256 = self.roster
    tally: uint256 = self.tally
    assert (
        convert(msg.sender, uint256) == roster >> CLOSER_AT
    ), "settlement: caller is not the closer"
    start: uint256 = 0
    duration: uint256 = 0
    seen: uint256 = 0
    start, duration, seen = self._check_header(header, tally, roster & U64)

    members: uint256 = roster >> MEMBERS_AT & U32
    count: uint256 = unsafe_add(members, LANES_PER_SLOT - 1) // LANES_PER_SLOT
    assert len(deltas) == unsafe_mul(count, 32), "settlement: not one delta per lane"
    assert sha256(deltas) == extract32(header, 148), "settlement: deltas are not as in the header"

    # Sums of the lanes two by two, in three fields of 84 bits: 250 words cannot fill one.
    sums: uint256 = 0
    word: uint256 = BIAS
    for i: uint256 in range(count, bound=SLOTS_MAX):
        word = convert(extract32(deltas, unsafe_mul(i, 32)), uint256)
        sums = unsafe_add(sums, unsafe_add(word & EVEN_LANES, word >> LANE_BITS & EVEN_LANES))
        # If all six lanes are in range after it, the word was six changes and nothing carried:
        # it is the difference of two words whose lanes are in range, and there is only one.
        lanes: uint256 = unsafe_sub(unsafe_add(self.slots[i], word), BIAS)
        if lanes & RANGE_BITS != BIAS:
            self._refuse_lanes(word, lanes)
        self.slots[i] = lanes
    used: uint256 = members % LANES_PER_SLOT * LANE_BITS
    if used != 0:
        assert word >> used == BIAS >> used, "settlement: a delta for a lane nobody has"

    # 100 supplier gains 8 | 108 supplier pays 8 | 116 grid operator gains 8
    settled: uint256 = convert(extract32(header, 100), uint256)
    gained: uint256 = settled >> 192
    paid: uint256 = settled >> 128 & U64
    grid: uint256 = settled >> 64 & U64
    total: uint256 = unsafe_add(
        unsafe_add(sums & PAIR_MASK, sums >> 84 & PAIR_MASK), sums >> 168
    )
    # Each of the six lanes of each word carries 2**40 above its change.
    assert unsafe_add(unsafe_add(total, gained), grid) == unsafe_add(
        unsafe_mul(count, LANES_PER_SLOT * LANE_LIMIT), paid
    ), "settlement: deltas do not sum to zero"
    anchor: bytes32 = sha256(
        concat(sha256(slice(header, 0, BODY_BYTES)), slice(header, BODY_BYTES, TAIL_BYTES))
    )
    self.anchors[start] = anchor
    self.tally = (
        self._pay_wide(tally, gained, paid, grid)
        | start << START_AT
        | duration << DURATION_AT
        | seen
    )
    log Closed(
        start=start,
        duration=duration,
        anchor=anchor,
        flows=seen,
        supplier=unsafe_sub(convert(gained, int256), convert(paid, int256)),
        grid=grid,
        deltas=deltas,
    )


@external
@nonreentrant
def deposit(lane: uint256, amount: uint256):
    """
    @notice Pay the caller's tokens into a lane, one's own or another's.
    @param lane Member index, or 2**32 for the supplier, 2**32 + 1 for the grid operator.
    @param amount Ledger units; the caller must have allowed them to this contract.
    """
    assert amount != 0, "settlement: amount is zero"
    assert amount <= WIDE_MASK, "settlement: amount too large"
    if lane < SUPPLIER_LANE:
        assert lane < self.roster >> MEMBERS_AT & U32, "settlement: no such lane"
    held: uint256 = self._balance(lane)
    self._set_balance(lane, held + amount)
    self._count_flow(lane, msg.sender, convert(amount, int256))
    before: uint256 = staticcall IERC20(token).balanceOf(self)
    assert extcall IERC20(token).transferFrom(
        msg.sender, self, amount, default_return_value=True
    ), "settlement: token refused the transfer"
    after: uint256 = staticcall IERC20(token).balanceOf(self)
    # A token that keeps a fee on each transfer would leave the lanes without cover.
    assert after == before + amount, "settlement: token moved another amount"


@external
@nonreentrant
def withdraw(lane: uint256, amount: uint256):
    """
    @notice Take tokens out of a lane. Only the lane's account may, and only to itself.
    @param lane Member index, or 2**32 for the supplier, 2**32 + 1 for the grid operator.
    @param amount Ledger units.
    """
    assert amount != 0, "settlement: amount is zero"
    assert msg.sender == self._account_of(lane), "settlement: caller does not own the lane"
    held: uint256 = self._balance(lane)
    assert held >= amount, "settlement: a lane would fall below zero"
    self._set_balance(lane, unsafe_sub(held, amount))
    self._count_flow(lane, msg.sender, -convert(amount, int256))
    assert extcall IERC20(token).transfer(
        msg.sender, amount, default_return_value=True
    ), "settlement: token refused the transfer"


@external
def set_closer(closer: address):
    """
    @notice Name who closes intervals: another key, a committee or a verifier. Only the operator.
    @param closer The new closer.
    """
    operator: address = staticcall Registry(registry).operator_of(self)
    assert msg.sender == operator, "settlement: caller is not the operator"
    assert closer != empty(address), "settlement: no closer given"
    self._set_closer(closer)


@external
def appoint(closer: address):
    """
    @notice Make a new operator the closer. Only the registry may.
    @param closer The operator.
    """
    assert msg.sender == registry, "settlement: caller is not the registry"
    self._set_closer(closer)


@external
def keep_up(members: uint256, roll: bytes32):
    """
    @notice Open lanes for new members and keep the roll as it now is. Only the registry may.
    @param members How many members the community has now.
    @param roll The community's roll now.
    """
    assert msg.sender == registry, "settlement: caller is not the registry"
    assert members <= MEMBERS_MAX, "settlement: community is full"
    roster: uint256 = self.roster
    opened: uint256 = roster >> MEMBERS_AT & U32
    first: uint256 = (opened + LANES_PER_SLOT - 1) // LANES_PER_SLOT
    last: uint256 = (members + LANES_PER_SLOT - 1) // LANES_PER_SLOT
    for i: uint256 in range(first, last, bound=SLOTS_MAX):
        self.slots[i] = BIAS
    self.roster = roster & ~(U32 << MEMBERS_AT) | members << MEMBERS_AT
    self.roll = roll
    log MembershipChanged(members=members, roll=roll)


@external
@view
def balance_of(lane: uint256) -> uint256:
    """
    @notice Ledger units in a lane; zero for a lane nobody has.
    @param lane Member index, or 2**32 for the supplier, 2**32 + 1 for the grid operator.
    """
    if lane < SUPPLIER_LANE and lane >= self.roster >> MEMBERS_AT & U32:
        return 0
    return self._balance(lane)


@external
@view
def lane_words() -> DynArray[uint256, SLOTS_MAX]:
    """
    @notice All members' lanes as they are stored: six to a word, each plus 2**40.
    """
    words: DynArray[uint256, SLOTS_MAX] = []
    members: uint256 = self.roster >> MEMBERS_AT & U32
    for i: uint256 in range((members + LANES_PER_SLOT - 1) // LANES_PER_SLOT, bound=SLOTS_MAX):
        words.append(self.slots[i])
    return words


@external
@view
def members() -> uint256:
    """
    @notice How many lanes are open.
    """
    return self.roster >> MEMBERS_AT & U32


@external
@view
def flows() -> uint256:
    """
    @notice How many deposits and withdrawals there have been; the last one's number.
    """
    return self.roster & U64


@external
@view
def closer() -> address:
    """
    @notice Who closes intervals; zero until the community is founded.
    """
    return convert(convert(self.roster >> CLOSER_AT, uint160), address)


@external
@view
def last() -> (uint256, uint256, bytes32, uint256):
    """
    @notice The last closed interval: start, duration, anchor, and the flows it had seen.
    """
    tally: uint256 = self.tally
    start: uint256 = tally >> START_AT & START_MASK
    return (
        start,
        tally >> DURATION_AT & DURATION_MASK,
        self.anchors[start],
        tally & SEEN_MASK,
    )


@internal
@view
def _check_header(
    header: Bytes[HEADER_BYTES], tally: uint256, flows: uint256
) -> (uint256, uint256, uint256):
    """
    @notice Refuse a header that is not this community's next one.
    @param header The header.
    @param tally What the last close left.
    @param flows Deposits and withdrawals until now.
    @return Start, duration and the flows the statement has seen.
    """
    assert len(header) == HEADER_BYTES, "settlement: header is not 488 bytes"
    # 0 version 1 | 3 flags 1 | 4 ledger 8
    first: uint256 = convert(extract32(header, 0), uint256)
    assert first >> 224 & VERSION_MASK == VERSION_1, "settlement: unknown header version"
    assert (
        first >> 160 & U64 == convert(convert(ledger, uint64), uint256)
    ), "settlement: header is for another ledger"

    # 420 community 20 | 440 start 8 | 448 duration 4
    place: uint256 = convert(extract32(header, 420), uint256)
    assert place >> 96 == convert(self, uint256), "settlement: header is for another community"
    start: uint256 = place >> 32 & U64
    duration: uint256 = place & U32
    last_start: uint256 = tally >> START_AT & START_MASK
    assert (
        start >= unsafe_add(last_start, tally >> DURATION_AT & DURATION_MASK)
    ), "settlement: interval already closed"
    assert (
        duration >= DURATION_MIN and duration <= DURATION_MAX
    ), "settlement: interval is not between a minute and an hour"
    assert start % duration == 0, "settlement: interval is not on the grid"
    assert unsafe_add(start, duration) <= block.timestamp, "settlement: interval is not over"

    # 76 issued 8 | 84 retired 8 | 92 free 8
    units: uint256 = convert(extract32(header, 76), uint256)
    assert units >> 192 == unsafe_add(
        units >> 128 & U64, units >> 64 & U64
    ), "settlement: issued is not retired plus free"

    # 140 flows 8 | 148 hash of the deltas 32 | 180 roll 32 | 244 previous anchor 32
    seen: uint256 = convert(extract32(header, 116), uint256) & U64
    assert seen <= flows, "settlement: header counts flows that were not"
    assert seen >= tally & SEEN_MASK, "settlement: header forgets flows already seen"
    assert extract32(header, 180) == self.roll, "settlement: roll is not the registry's"
    assert (
        extract32(header, 244) == self.anchors[last_start]
    ), "settlement: previous anchor is not the last one"
    return start, duration, seen


@internal
@pure
def _refuse_lanes(word: uint256, lanes: uint256):
    """
    @notice Say what is wrong with six lanes.
    """
    assert word & UNUSED_BITS == 0, "settlement: a delta is out of range"
    assert lanes & TOO_HIGH_BITS == 0, "settlement: a lane would exceed its limit"
    raise "settlement: a lane would fall below zero"


@internal
@pure
def _pay_wide(tally: uint256, gained: uint256, paid: uint256, grid: uint256) -> uint256:
    """
    @notice The supplier's and the grid operator's part of the tally after they are paid.
    """
    balance: uint256 = unsafe_add(tally >> SUPPLIER_AT, gained)
    assert balance >= paid, "settlement: a lane would fall below zero"
    balance = unsafe_sub(balance, paid)
    grid_balance: uint256 = unsafe_add(tally >> GRID_AT & WIDE_MASK, grid)
    assert (
        balance <= WIDE_MASK and grid_balance <= WIDE_MASK
    ), "settlement: a lane would exceed its limit"
    return balance << SUPPLIER_AT | grid_balance << GRID_AT


@internal
def _set_closer(closer: address):
    """
    @notice Change the closer and say so.
    """
    self.roster = convert(closer, uint256) << CLOSER_AT | self.roster & (2**96 - 1)
    log CloserChanged(closer=closer)


@internal
def _count_flow(lane: uint256, account: address, amount: int256):
    """
    @notice Number a payment in or out, so that a statement can say which it has seen.
    """
    roster: uint256 = unsafe_add(self.roster, 1)
    self.roster = roster
    log Moved(flow=roster & U64, lane=lane, account=account, amount=amount)


@internal
@view
def _account_of(lane: uint256) -> address:
    """
    @notice Who may take money out of a lane; zero for a lane nobody has.
    """
    if lane == SUPPLIER_LANE:
        return supplier
    if lane == GRID_LANE:
        return grid_operator
    return staticcall Registry(registry).account_of(self, lane)


@internal
@view
def _balance(lane: uint256) -> uint256:
    """
    @notice Units in an open lane.
    """
    if lane == SUPPLIER_LANE:
        return self.tally >> SUPPLIER_AT
    if lane == GRID_LANE:
        return self.tally >> GRID_AT & WIDE_MASK
    assert lane < MEMBERS_MAX, "settlement: no such lane"
    word: uint256 = self.slots[lane // LANES_PER_SLOT]
    # An open lane always has its 2**40 added, so this cannot go below zero.
    return unsafe_sub(word >> (lane % LANES_PER_SLOT * LANE_BITS) & LANE_MASK, LANE_LIMIT)


@internal
def _set_balance(lane: uint256, balance_: uint256):
    """
    @notice Write an open lane.
    """
    if lane == SUPPLIER_LANE or lane == GRID_LANE:
        assert balance_ <= WIDE_MASK, "settlement: a lane would exceed its limit"
        at: uint256 = SUPPLIER_AT if lane == SUPPLIER_LANE else GRID_AT
        self.tally = self.tally & ~(WIDE_MASK << at) | balance_ << at
    else:
        assert balance_ < LANE_LIMIT, "settlement: a lane would exceed its limit"
        slot: uint256 = lane // LANES_PER_SLOT
        at: uint256 = lane % LANES_PER_SLOT * LANE_BITS
        kept: uint256 = self.slots[slot] & ~(LANE_MASK << at)
        self.slots[slot] = kept | (balance_ + LANE_LIMIT) << at
