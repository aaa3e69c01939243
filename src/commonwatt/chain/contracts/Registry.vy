# pragma version 0.4.3
# SPDX-License-Identifier: Apache-2.0
"""
@title Registry
@license Apache-2.0
@notice Who takes part: communities, their members, their meters, and the two roles that may
        write here. A meter is registered once, for ever, in one community.
@dev Each change of a community's members or meters is chained into its roll, a hash that every
     statement repeats; anyone can recompute it from the events. The roll is pushed into the
     community's Settlement at once, so that closing an interval needs no call.
"""

interface Community:
    def registry() -> address: view
    def appoint(closer: address): nonpayable
    def keep_up(members: uint256, roll: bytes32): nonpayable

# A gateway may register a whole street at once; both limits keep a call far below a block.
ACCOUNTS_PER_CALL_MAX: constant(uint256) = 128
METERS_PER_CALL_MAX: constant(uint256) = 48

ROLE_GENERATION: constant(uint8) = 1
ROLE_STORAGE: constant(uint8) = 2

# P-256 (secp256r1): y^2 = x^3 - 3x + b over the field of this prime.
P256_PRIME: constant(uint256) = max_value(uint256) - 2**224 + 2**192 + 2**96
P256_B: constant(uint256) = (
    41058363725152142129326129780047268409114441015993725554835256314039467401291
)

U32: constant(uint256) = 2**32 - 1
U40: constant(uint256) = 2**40 - 1
U128: constant(uint256) = 2**128 - 1
U160: constant(uint256) = 2**160 - 1

# What the roll's links start with, one per kind of change.
ROLL_JOINED: constant(Bytes[1]) = b"\x01"
ROLL_METER: constant(Bytes[1]) = b"\x02"
ROLL_MOVED: constant(Bytes[1]) = b"\x03"

struct NewMeter:
    x: uint256
    y: uint256
    member: uint32
    role: uint8
    source: uint32
    rated_w: uint40
    first_day: uint32
    zone: bytes16
    direct: bool
    opening: bytes32

struct Standing:
    operator: address
    members: uint256
    roll: bytes32

struct Entry:
    x: uint256
    y: uint256
    # community (160 bits) and member (32 bits), which change with the owner
    home: uint256
    # role 8, source 32, rated_w 40, first_day 32, zone 128, direct 8 bits: as in the roll
    traits: uint256
    opening: bytes32

struct Meter:
    x: uint256
    y: uint256
    community: address
    member: uint256
    owner: address
    role: uint256
    source: uint256
    rated_w: uint256
    first_day: uint256
    zone: bytes16
    direct: bool
    opening: bytes32

struct Producer:
    x: uint256
    y: uint256
    community: address
    owner: address
    issuer: address
    role: uint256
    source: uint256
    rated_w: uint256
    first_day: uint256
    direct: bool

issuer: public(address)
standings: HashMap[address, Standing]
account_of: public(HashMap[address, HashMap[uint256, address]])
entries: HashMap[uint256, Entry]
# member + 1 of the one a meter is offered to; 0 when nobody
offers: HashMap[uint256, uint256]

event IssuerChanged:
    issuer: indexed(address)

event OperatorChanged:
    community: indexed(address)
    operator: indexed(address)

event Founded:
    community: indexed(address)

event Joined:
    community: indexed(address)
    member: indexed(uint256)
    account: indexed(address)

event MeterRegistered:
    community: indexed(address)
    meter: indexed(uint256)
    member: indexed(uint256)
    x: uint256
    y: uint256
    role: uint256
    source: uint256
    rated_w: uint256
    first_day: uint256
    zone: bytes16
    direct: bool
    opening: bytes32

event MeterOffered:
    community: indexed(address)
    meter: indexed(uint256)
    member: indexed(uint256)

event MeterMoved:
    community: indexed(address)
    meter: indexed(uint256)
    member: indexed(uint256)


@deploy
def __init__():
    """
    @notice Start an empty registry; the deployer is its issuer.
    """
    self.issuer = msg.sender
    log IssuerChanged(issuer=msg.sender)


@external
def set_issuer(issuer: address):
    """
    @notice Hand over the issuer's role. Only the issuer may.
    @param issuer The new issuer.
    """
    assert msg.sender == self.issuer, "registry: caller is not the issuer"
    assert issuer != empty(address), "registry: no issuer given"
    self.issuer = issuer
    log IssuerChanged(issuer=issuer)


@external
def found(community: address, operator: address):
    """
    @notice Admit a community. Only the issuer may.
    @param community Address of its Settlement, which must name this registry.
    @param operator Who admits its members and, unless it names another closer, closes intervals.
    """
    assert msg.sender == self.issuer, "registry: caller is not the issuer"
    assert operator != empty(address), "registry: no operator given"
    assert self.standings[community].operator == empty(address), "registry: community exists"
    assert community.is_contract, "registry: community is not a contract"
    named: address = staticcall Community(community).registry()
    assert named == self, "registry: community names another registry"
    self.standings[community].operator = operator
    log Founded(community=community)
    log OperatorChanged(community=community, operator=operator)
    extcall Community(community).appoint(operator)


@external
def set_operator(community: address, operator: address):
    """
    @notice Hand over a community, or replace a lost or stolen operator's key. The operator may,
            and so may the issuer. The new operator is the closer until it names another.
    @param community Which community.
    @param operator Its new operator.
    """
    current: address = self.standings[community].operator
    assert current != empty(address), "registry: no such community"
    assert msg.sender == current or msg.sender == self.issuer, "registry: caller is not the operator"
    assert operator != empty(address), "registry: no operator given"
    self.standings[community].operator = operator
    log OperatorChanged(community=community, operator=operator)
    extcall Community(community).appoint(operator)


@external
def join(community: address, accounts: DynArray[address, ACCOUNTS_PER_CALL_MAX]):
    """
    @notice Admit members, in the order given, with the next free indexes. Only the operator may.
    @param community Which community.
    @param accounts The account of each new member; one account may hold several places.
    """
    standing: Standing = self.standings[community]
    assert msg.sender == standing.operator, "registry: caller is not the operator"
    assert len(accounts) != 0, "registry: nobody to join"
    for account: address in accounts:
        assert account != empty(address), "registry: account is zero"
        self.account_of[community][standing.members] = account
        standing.roll = sha256(
            concat(
                standing.roll,
                ROLL_JOINED,
                convert(convert(standing.members, uint32), bytes4),
                convert(account, bytes20),
            )
        )
        log Joined(community=community, member=standing.members, account=account)
        standing.members = unsafe_add(standing.members, 1)
    self.standings[community].members = standing.members
    self.standings[community].roll = standing.roll
    extcall Community(community).keep_up(standing.members, standing.roll)


@external
def register_meters(community: address, meters: DynArray[NewMeter, METERS_PER_CALL_MAX]):
    """
    @notice Register meters for ever. Those without a source are the operator's to register;
            those with one can cause certificates and are the issuer's alone.
    @param community Which community.
    @param meters Key (a point on P-256), member, role (0 grid, 1 generation, 2 storage), source
           code, rated power in W, first day (days since 1970), bidding zone, whether the meter
           writes to the chain itself, and the SHA-256 of its opening record.
    """
    standing: Standing = self.standings[community]
    assert standing.operator != empty(address), "registry: no such community"
    assert len(meters) != 0, "registry: no meter to register"
    is_operator: bool = msg.sender == standing.operator
    is_issuer: bool = msg.sender == self.issuer
    for meter: NewMeter in meters:
        if meter.source == 0:
            assert is_operator, "registry: caller is not the operator"
        else:
            assert is_issuer, "registry: caller is not the issuer"
            assert meter.role == ROLE_GENERATION, "registry: only generation has a source"
        standing.roll = self._register(community, standing.members, standing.roll, meter)
    self.standings[community].roll = standing.roll
    extcall Community(community).keep_up(standing.members, standing.roll)


@external
def offer_meter(meter: uint256, member: uint256):
    """
    @notice Offer a meter to another member of the same community; replaces an earlier offer.
            Offering it to oneself takes the offer back. Only the owner may.
    @param meter Which meter.
    @param member Index of the member who may accept it.
    """
    home: uint256 = self.entries[meter].home
    assert home != 0, "registry: no such meter"
    community: address = self._community_of(home)
    owner: uint256 = home & U32
    assert msg.sender == self.account_of[community][owner], "registry: caller is not the owner"
    assert member < self.standings[community].members, "registry: no such member"
    self.offers[meter] = 0 if member == owner else unsafe_add(member, 1)
    log MeterOffered(community=community, meter=meter, member=member)


@external
def accept_meter(meter: uint256):
    """
    @notice Become the owner of a meter on offer. Only the member it is offered to may.
    @dev Certificates not yet claimed go with the meter; the old owner can claim them before.
    @param meter Which meter.
    """
    offer: uint256 = self.offers[meter]
    assert offer != 0, "registry: meter is not on offer"
    member: uint256 = unsafe_sub(offer, 1)
    community: address = self._community_of(self.entries[meter].home)
    assert msg.sender == self.account_of[community][member], "registry: meter is offered to another"
    standing: Standing = self.standings[community]
    standing.roll = sha256(
        concat(
            standing.roll,
            ROLL_MOVED,
            convert(convert(convert(meter, uint160), address), bytes20),
            convert(convert(member, uint32), bytes4),
        )
    )
    self.offers[meter] = 0
    self.entries[meter].home = (convert(community, uint256) << 32) | member
    self.standings[community].roll = standing.roll
    log MeterMoved(community=community, meter=meter, member=member)
    extcall Community(community).keep_up(standing.members, standing.roll)


@external
@view
def is_community(community: address) -> bool:
    """
    @notice Whether the issuer has admitted this community.
    """
    return self.standings[community].operator != empty(address)


@external
@view
def operator_of(community: address) -> address:
    """
    @notice The community's operator; zero for an unknown community.
    """
    return self.standings[community].operator


@external
@view
def members(community: address) -> uint256:
    """
    @notice How many members the community has.
    """
    return self.standings[community].members


@external
@view
def roll(community: address) -> bytes32:
    """
    @notice The community's roll; 32 zero bytes before the first member.
    """
    return self.standings[community].roll


@external
@view
def meter(meter: uint256) -> Meter:
    """
    @notice All that is known of a meter. An unknown one has a zero community.
    @param meter Last 20 bytes of SHA-256(x || y), as a number.
    """
    entry: Entry = self.entries[meter]
    community: address = self._community_of(entry.home)
    member: uint256 = entry.home & U32
    return Meter(
        x=entry.x,
        y=entry.y,
        community=community,
        member=member,
        owner=self.account_of[community][member],
        role=entry.traits >> 240,
        source=(entry.traits >> 208) & U32,
        rated_w=(entry.traits >> 168) & U40,
        first_day=(entry.traits >> 136) & U32,
        zone=convert(convert((entry.traits >> 8) & U128, uint128), bytes16),
        direct=entry.traits & 1 == 1,
        opening=entry.opening,
    )


@external
@view
def producer(meter: uint256) -> Producer:
    """
    @notice What a certificate needs to know of a meter, in one call. Zero community: unknown.
    @param meter Last 20 bytes of SHA-256(x || y), as a number.
    """
    home: uint256 = self.entries[meter].home
    traits: uint256 = self.entries[meter].traits
    community: address = self._community_of(home)
    return Producer(
        x=self.entries[meter].x,
        y=self.entries[meter].y,
        community=community,
        owner=self.account_of[community][home & U32],
        issuer=self.issuer,
        role=traits >> 240,
        source=(traits >> 208) & U32,
        rated_w=(traits >> 168) & U40,
        first_day=(traits >> 136) & U32,
        direct=traits & 1 == 1,
    )


@external
@view
def source_of(meter: uint256) -> uint256:
    """
    @notice Source code of a meter; zero for none and for an unknown meter.
    """
    return self.entries[meter].traits >> 208 & U32


@external
@view
def opening_of(meter: uint256) -> bytes32:
    """
    @notice SHA-256 of the meter's opening record.
    """
    return self.entries[meter].opening


@external
@view
def offer_of(meter: uint256) -> (bool, uint256):
    """
    @notice Whether a meter is on offer, and to which member.
    """
    offer: uint256 = self.offers[meter]
    if offer == 0:
        return False, 0
    return True, unsafe_sub(offer, 1)


@internal
def _register(community: address, members: uint256, roll: bytes32, new: NewMeter) -> bytes32:
    """
    @notice Check and store one meter.
    @return The community's roll after it.
    """
    assert convert(new.member, uint256) < members, "registry: no such member"
    assert new.role <= ROLE_STORAGE, "registry: unknown role"
    assert new.rated_w != 0, "registry: rated power is zero"
    assert new.opening != empty(bytes32), "registry: no opening record"
    self._require_on_curve(new.x, new.y)
    key: Bytes[64] = concat(convert(new.x, bytes32), convert(new.y, bytes32))
    meter: uint256 = convert(sha256(key), uint256) & U160
    assert self.entries[meter].home == 0, "registry: meter already registered"

    traits: uint256 = (
        (convert(new.role, uint256) << 240)
        | (convert(new.source, uint256) << 208)
        | (convert(new.rated_w, uint256) << 168)
        | (convert(new.first_day, uint256) << 136)
        | (convert(convert(new.zone, uint128), uint256) << 8)
        | convert(new.direct, uint256)
    )
    self.entries[meter] = Entry(
        x=new.x,
        y=new.y,
        home=(convert(community, uint256) << 32) | convert(new.member, uint256),
        traits=traits,
        opening=new.opening,
    )
    log MeterRegistered(
        community=community,
        meter=meter,
        member=convert(new.member, uint256),
        x=new.x,
        y=new.y,
        role=convert(new.role, uint256),
        source=convert(new.source, uint256),
        rated_w=convert(new.rated_w, uint256),
        first_day=convert(new.first_day, uint256),
        zone=new.zone,
        direct=new.direct,
        opening=new.opening,
    )
    return sha256(
        concat(
            roll,
            ROLL_METER,
            key,
            convert(new.member, bytes4),
            slice(convert(traits, bytes32), 1, 31),
            new.opening,
        )
    )


@internal
@pure
def _require_on_curve(x: uint256, y: uint256):
    """
    @notice Refuse a key that no signature can ever match: some 200 gas, and no dead meters.
    """
    assert x < P256_PRIME and y < P256_PRIME, "registry: key is not on P-256"
    cube: uint256 = uint256_mulmod(uint256_mulmod(x, x, P256_PRIME), x, P256_PRIME)
    minus_3x: uint256 = uint256_mulmod(x, P256_PRIME - 3, P256_PRIME)
    right: uint256 = uint256_addmod(uint256_addmod(cube, minus_3x, P256_PRIME), P256_B, P256_PRIME)
    assert uint256_mulmod(y, y, P256_PRIME) == right, "registry: key is not on P-256"


@internal
@pure
def _community_of(home: uint256) -> address:
    """
    @notice The community part of a meter's home.
    """
    return convert(convert(home >> 32, uint160), address)
