# pragma version 0.4.3
# SPDX-License-Identifier: Apache-2.0
"""
@title Certificate
@license Apache-2.0
@notice Proof of origin for exact watt-hours of one meter and one interval, one unit a Wh. It
        exists only after the meter's own signature and registers, and an anchored statement unless
        the meter writes here itself, have been checked here; it is issued once and retired once.
@dev ERC-1155 with the reading functions and events of ERC-1888. A token's id is
     meter << 96 | start << 32 | duration. What a holder holds and has retired of three neighbouring
     intervals of a meter shares a storage slot. Issued = held + retired + withdrawn + exported,
     escrows and expired units being held; only withdrawal and export lessen it, only `restore`
     and `reinstate` give back, and both by the issuer.
"""

from ethereum.ercs import IERC165

implements: IERC165

interface Registry:
    def producer(meter: uint256) -> Producer: view
    def opening_of(meter: uint256) -> bytes32: view
    def source_of(meter: uint256) -> uint256: view
    def issuer() -> address: view

interface Settlement:
    def anchors(start: uint256) -> bytes32: view
    def last() -> (uint256, uint256, bytes32, uint256): view

interface Receiver:
    def onERC1155Received(
        operator: address, sender: address, id: uint256, amount: uint256, data: Bytes[1024]
    ) -> bytes4: nonpayable
    def onERC1155BatchReceived(
        operator: address,
        sender: address,
        ids: DynArray[uint256, 64],
        amounts: DynArray[uint256, 64],
        data: Bytes[1024],
    ) -> bytes4: nonpayable

U32: constant(uint256) = 2**32 - 1
U64: constant(uint256) = 2**64 - 1
U160: constant(uint256) = 2**160 - 1

# A record: version 1 | kind 1 | quality 2 | ledger 8 | meter 20 | sequence 8 | time_end 8 |
# duration 4 | import_mwh 8 | export_mwh 8 | previous 32.
RECORD_BYTES: constant(uint256) = 100
RECORD_VERSION: constant(uint256) = 1
# Kinds: 0 registers, 1 interval only; the others restate or restart and prove no production.
KIND_INTERVAL_ONLY: constant(uint8) = 1

QUALITY_MEASURED: constant(uint256) = 1
QUALITY_CALCULATED: constant(uint256) = 2
QUALITY_ESTIMATED: constant(uint256) = 4
QUALITY_SUBSTITUTED: constant(uint256) = 8
QUALITY_CLOCK: constant(uint256) = 16
QUALITY_ERROR: constant(uint256) = 32
QUALITY_MANUAL: constant(uint256) = 64
QUALITY_VOUCHED: constant(uint256) = 128
QUALITY_SOUND: constant(uint256) = QUALITY_MEASURED | QUALITY_CALCULATED
QUALITY_UNSOUND: constant(uint256) = QUALITY_ESTIMATED | QUALITY_SUBSTITUTED | QUALITY_ERROR

ROLE_GENERATION: constant(uint256) = 1

# A seal: SHA-256 of the header's body 32 | community 20 | start 8 | duration 4 | number of
# certificates 4 | their root 32. Its SHA-256 is the anchor.
SEAL_BYTES: constant(uint256) = 100

# A meter may show a quarter more than rated power allows: cold clear days, and rounding.
MARGIN_OVER: constant(uint256) = 5
MARGIN_UNDER: constant(uint256) = 4
MINUTE: constant(uint256) = 60
HOUR: constant(uint256) = 3600
DAY: constant(uint256) = 86400
MWH_PER_WH: constant(uint256) = 1000

# A run of 32 is eight hours of quarter hours; a path of 20 is for a million certificates.
RUN_MAX: constant(uint256) = 32
PATH_MAX: constant(uint256) = 20
BATCH_MAX: constant(uint256) = 64

# A slot: source code 32 bits at the top, then three intervals, each retired units above held ones.
# A lane holds 137 GWh, an hour of a plant of 110 GW and a quarter more.
LANE_BITS: constant(uint256) = 37
LANE_MASK: constant(uint256) = 2**37 - 1
INTERVALS_PER_SLOT: constant(uint256) = 3
SOURCE_AT: constant(uint256) = 224
LANES_MASK: constant(uint256) = 2**224 - 1
# The slot of all ids off the grid: always empty, because no certificate has such an id.
NOWHERE: constant(uint256) = max_value(uint256)

# Claim data: period start 8 | period end 8 | country 2 | lengths 3 | beneficiary | location |
# purpose. Three texts of 96 bytes fit.
PURPOSE_HEAD: constant(uint256) = 21
PURPOSE_BYTES: constant(uint256) = 309

# What is remembered of a message whose units have been given back.
RESTORED: constant(bytes32) = (
    0x0000000000000000000000000000000000000000000000000000000000000001
)

# P256VERIFY (EIP-7951): hash, r, s, x, y -> 1, or nothing.
P256_VERIFY: constant(address) = 0x0000000000000000000000000000000000000100
# Half the group's order. Of a signature's two forms only the one with the lower s is taken.
HALF_ORDER: constant(uint256) = (
    57896044605178124381348723474703786764998477612067880171211129530534256022184
)

INTERFACE_ERC165: constant(bytes4) = 0x01ffc9a7
INTERFACE_ERC1155: constant(bytes4) = 0xd9b67a26
INTERFACE_METADATA: constant(bytes4) = 0x0e89341c

registry: public(immutable(address))
ledger: public(immutable(bytes8))
# Seconds from the end of its interval after which a unit cannot be used any more; 2**64 - 1: never.
lifetime: public(immutable(uint256))

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

# One interval: what its record says, and where its statement says what of it. In a run, a step
# with `free` zero is not certified, needs no statement, and only carries the chain of records on.
struct Step:
    kind: uint8
    quality: uint16
    import_mwh: uint64
    export_mwh: uint64
    body: bytes32
    root: bytes32
    size: uint32
    index: uint32
    issued: uint64
    free: uint64
    path: DynArray[bytes32, PATH_MAX]

# What a run knows of the record it has reached.
struct Link:
    sequence: uint256
    time_end: uint256
    export_mwh: uint256
    digest: bytes32

# Where a meter that writes here itself has come to: `state` is sequence 64 | time_end 64 |
# export_mwh 64 | the latest end of an interval 64, and `digest` is of its last record.
struct Progress:
    state: uint256
    digest: bytes32

# holder -> meter | third of interval number | duration -> three pairs of lanes
units: HashMap[address, HashMap[uint256, uint256]]
# meter | 256th of interval number | duration -> one bit an interval
issued: HashMap[uint256, uint256]
isApprovedForAll: public(HashMap[address, HashMap[address, bool]])
# meter -> start from which its intervals are kept in the book; 0: in none
kept_from: public(HashMap[uint256, uint256])
# message -> hash of what it exported
exported: public(HashMap[bytes32, bytes32])
progress: HashMap[uint256, Progress]

event TransferSingle:
    operator: indexed(address)
    sender: indexed(address)
    receiver: indexed(address)
    id: uint256
    value: uint256

event TransferBatch:
    operator: indexed(address)
    sender: indexed(address)
    receiver: indexed(address)
    ids: DynArray[uint256, BATCH_MAX]
    values: DynArray[uint256, BATCH_MAX]

event ApprovalForAll:
    owner: indexed(address)
    operator: indexed(address)
    approved: bool

event IssuanceSingle:
    issuer: indexed(address)
    topic: indexed(uint256)
    id: uint256
    value: uint256

event ClaimSingle:
    claim_issuer: indexed(address)
    claim_subject: indexed(address)
    topic: indexed(uint256)
    id: uint256
    value: uint256
    claim_data: Bytes[PURPOSE_BYTES]

event Kept:
    meter: indexed(uint256)
    from_start: uint256

event Recorded:
    meter: indexed(uint256)
    sequence: uint256
    time_end: uint256
    export_mwh: uint256
    digest: bytes32

event Reserved:
    agent: indexed(address)
    holder: indexed(address)
    escrow: indexed(address)
    number: uint256

event Withdrawn:
    holder: indexed(address)
    id: indexed(uint256)
    value: uint256
    reason: String[96]

event Reinstated:
    holder: indexed(address)
    id: indexed(uint256)
    value: uint256
    reason: String[96]

event Exported:
    holder: indexed(address)
    destination: indexed(bytes32)
    message: indexed(bytes32)
    id: uint256
    value: uint256

event Restored:
    holder: indexed(address)
    message: indexed(bytes32)
    id: uint256
    value: uint256


@deploy
def __init__(registry_: address, lifetime_: uint64):
    """
    @notice Start with no certificates.
    @param registry_ Where meters and communities are registered.
    @param lifetime_ Seconds from the end of its interval after which a unit has expired; 0: never.
    """
    assert registry_.is_contract, "certificate: registry is not a contract"
    registry = registry_
    lifetime = convert(lifetime_, uint256) if lifetime_ != 0 else U64
    identity: bytes32 = sha256(
        concat(convert(chain.id, bytes32), convert(registry_, bytes20))
    )
    ledger = convert(slice(identity, 0, 8), bytes8)


@external
@nonreentrant
def claim(
    seal: Bytes[SEAL_BYTES],
    index: uint32,
    path: DynArray[bytes32, PATH_MAX],
    record: Bytes[RECORD_BYTES],
    previous: Bytes[RECORD_BYTES],
    issued: uint64,
    free: uint64,
    r: uint256,
    s: uint256,
):
    """
    @notice Mint the free units of one meter and interval to the meter's owner. Anyone may call.
    @param seal 100 bytes of an anchored statement: SHA-256 of its body, and its tail.
    @param index Place of the meter among the statement's certificates.
    @param path Siblings from that leaf to the root (RFC 9162).
    @param record The meter's record of the interval, 100 bytes.
    @param previous The meter's record before it, 100 bytes.
    @param issued Wh the statement certifies, retired in the community or free.
    @param free Wh of them nobody in the community has used: what is minted.
    @param r Of the meter's signature over `record`.
    @param s Of the same, at most half the group's order.
    """
    assert len(seal) == SEAL_BYTES, "certificate: seal is not 100 bytes"
    assert free != 0, "certificate: nothing free to claim"

    # 32 community 20 | 52 start 8 | 60 duration 4 | 64 size 4 | 68 root 32
    place: uint256 = convert(extract32(seal, 32), uint256)
    start: uint256 = place >> 32 & U64
    duration: uint256 = place & U32
    meter: uint256 = self._meter_of(previous)
    link: Link = self._link(previous)
    community: address = convert(convert(place >> 96, uint160), address)
    producer: Producer = self._producer(meter, community, duration, link)

    assert self._meter_of(record) == meter, "certificate: previous record is of another meter"
    head: uint256 = convert(extract32(record, 0), uint256)
    body: uint256 = convert(extract32(record, 32), uint256)
    self._require_next(record, link.digest, link.sequence)
    assert (
        link.time_end == start
        and body >> 128 & U64 == start + duration
        and body >> 96 & U32 == duration
    ), "certificate: intervals do not meet"

    step: Step = Step(
        kind=convert(head >> 240 & 255, uint8),
        quality=convert(head >> 224 & 65535, uint16),
        import_mwh=0,
        export_mwh=convert(convert(extract32(record, 36), uint256) & U64, uint64),
        body=extract32(seal, 0),
        root=extract32(seal, 68),
        size=convert(convert(extract32(seal, 36), uint256) & U32, uint32),
        index=index,
        issued=issued,
        free=free,
        path=path,
    )
    digest: bytes32 = sha256(record)
    id: uint256 = self._certify(meter, producer, duration, link, step, digest)
    self._check_signature(digest, r, s, producer.x, producer.y)
    amount: uint256 = convert(free, uint256)
    self._bring(empty(address), producer.owner, id, amount)


@external
@nonreentrant
def claim_run(
    community: address,
    duration: uint32,
    previous: Bytes[RECORD_BYTES],
    steps: DynArray[Step, RUN_MAX],
    r: uint256,
    s: uint256,
):
    """
    @notice Mint the free units of up to 32 consecutive intervals of one meter to its owner.
            Anyone may call. The records are rebuilt here, each naming the one before, so the
            meter's signature over the last one vouches for all.
    @param community The meter's community.
    @param duration Seconds of each interval.
    @param previous The meter's record before the first step, 100 bytes.
    @param steps The intervals in order.
    @param r Of the meter's signature over the last step's record.
    @param s Of the same, at most half the group's order.
    """
    meter: uint256 = self._meter_of(previous)
    link: Link = self._link(previous)
    length: uint256 = convert(duration, uint256)
    producer: Producer = self._producer(meter, community, length, link)
    ids: DynArray[uint256, RUN_MAX] = []
    amounts: DynArray[uint256, RUN_MAX] = []
    for step: Step in steps:
        digest: bytes32 = self._digest(meter, length, link, step)
        if step.free != 0:
            ids.append(self._certify(meter, producer, length, link, step, digest))
            amounts.append(convert(step.free, uint256))
        link = Link(
            sequence=link.sequence + 1,
            time_end=link.time_end + length,
            export_mwh=convert(step.export_mwh, uint256),
            digest=digest,
        )
    assert len(ids) != 0, "certificate: nothing free to claim"
    self._check_signature(link.digest, r, s, producer.x, producer.y)
    log TransferBatch(
        operator=msg.sender,
        sender=empty(address),
        receiver=producer.owner,
        ids=ids,
        values=amounts,
    )
    self._offer_batch(empty(address), producer.owner, ids, amounts, b"")


@external
@nonreentrant
def issue_direct(record: Bytes[RECORD_BYTES], r: uint256, s: uint256):
    """
    @notice Take down the next record of a meter that writes here itself, and mint what it proves
            to the meter's owner. Anyone may call. A record that proves nothing (after a gap,
            estimated, implausible, before the first day) is taken down all the same, so that the
            next one can follow it.
    @param record The meter's record, 100 bytes.
    @param r Of the meter's signature over `record`.
    @param s Of the same, at most half the group's order.
    """
    meter: uint256 = self._meter_of(record)
    producer: Producer = self._generator(meter)
    last: Progress = self.progress[meter]
    assert last.digest != empty(bytes32), "certificate: meter not started"
    link: Link = self._link(record)
    self._require_next(record, last.digest, last.state >> 192)
    assert link.time_end <= block.timestamp, "certificate: interval is not over"
    self._check_signature(link.digest, r, s, producer.x, producer.y)
    reached: uint256 = max(last.state & U64, link.time_end)
    self._take_down(meter, link, reached)

    amount: uint256 = self._proven(record, link, last.state, producer)
    if amount == 0:
        return
    duration: uint256 = convert(extract32(record, 20), uint256) & U32
    id: uint256 = meter << 96 | unsafe_sub(link.time_end, duration) << 32 | duration
    self._issue(id, amount, producer)
    self._bring(empty(address), producer.owner, id, amount)


@external
def start_direct(opening: Bytes[RECORD_BYTES]):
    """
    @notice Begin with the opening record of a meter that writes here itself, once. Anyone may
            call.
    @param opening The record whose digest was registered, 100 bytes.
    """
    meter: uint256 = self._meter_of(opening)
    link: Link = self._link(opening)
    producer: Producer = self._meter(meter)
    assert producer.direct, "certificate: meter is not direct"
    self._require_opening(meter, link.digest)
    assert self.progress[meter].digest == empty(bytes32), "certificate: meter has started"
    self._take_down(meter, link, link.time_end)


@external
def keep(meter: uint256, from_start: uint256):
    """
    @notice Keep a meter's certificates in the book instead: its intervals from a start on cannot
            be claimed here any more. Only the meter's owner or the issuer may, once and for ever.
    @param meter Which meter.
    @param from_start Start of the first such interval, UTC seconds; after that of the last one that
           its community closed, so that none of them can have been claimed.
    """
    producer: Producer = self._meter(meter)
    assert (
        msg.sender == producer.owner or msg.sender == producer.issuer
    ), "certificate: caller may not keep this"
    assert not producer.direct, "certificate: meter writes to the chain itself"
    assert self.kept_from[meter] == 0, "certificate: meter is kept"
    closed: uint256 = 0
    duration: uint256 = 0
    anchor: bytes32 = empty(bytes32)
    flows: uint256 = 0
    closed, duration, anchor, flows = staticcall Settlement(producer.community).last()
    assert from_start > closed, "certificate: start has passed"
    self.kept_from[meter] = from_start
    log Kept(meter=meter, from_start=from_start)


@external
def retire(holder: address, id: uint256, amount: uint256, claim_data: Bytes[PURPOSE_BYTES]):
    """
    @notice Use units up. The holder or an approved operator may.
    @dev Calls nobody, so it needs no lock.
    @param holder Whose units.
    @param id Which certificate.
    @param amount How many Wh.
    @param claim_data For which period of consumption (it must contain the interval of production),
           in which country, for whom, where and why: period start 8 bytes, period end 8, country
           code 2, the lengths of three texts 1 each, then beneficiary, location and purpose.
    """
    self._require_mover(holder)
    self._require_alive(id)
    head: uint256 = 0
    if len(claim_data) >= PURPOSE_HEAD:
        head = convert(slice(claim_data, 0, PURPOSE_HEAD), uint256)
    texts: uint256 = unsafe_add(unsafe_add(head & 255, head >> 8 & 255), head >> 16 & 255)
    assert (
        len(claim_data) == unsafe_add(PURPOSE_HEAD, texts)
    ), "certificate: claim data unclear"
    start: uint256 = id >> 32 & U64
    assert (
        head >> 104 <= start and unsafe_add(start, id & U32) <= head >> 40 & U64
    ), "certificate: period does not contain the interval"
    source: uint256 = self._turn(holder, id, amount, 0)
    self._announce(holder, empty(address), id, amount)
    log ClaimSingle(
        claim_issuer=holder,
        claim_subject=holder,
        topic=source,
        id=id,
        value=amount,
        claim_data=claim_data,
    )


@external
@nonreentrant
def withdraw(holder: address, id: uint256, amount: uint256, reason: String[96]):
    """
    @notice Take units out of the world that should not have been issued, expired ones and those
            in escrow included. Only the issuer may.
    @param holder Whose units.
    @param id Which certificate.
    @param amount How many Wh.
    @param reason Why, for everybody to read.
    """
    self._require_issuer(len(reason))
    self._move(holder, empty(address), id, amount, 0)
    self._announce(holder, empty(address), id, amount)
    log Withdrawn(holder=holder, id=id, value=amount, reason=reason)


@external
@nonreentrant
def reinstate(holder: address, id: uint256, amount: uint256, reason: String[96]):
    """
    @notice Give retired units back to their holder, when what they were retired for has itself
            been withdrawn. Only the issuer may.
    @param holder Who retired them.
    @param id Which certificate.
    @param amount How many Wh.
    @param reason Why, for everybody to read.
    """
    self._require_issuer(len(reason))
    self._turn(holder, id, amount, LANE_BITS)
    log Reinstated(holder=holder, id=id, value=amount, reason=reason)
    self._bring(empty(address), holder, id, amount)


@external
@nonreentrant
def export_units(
    holder: address, id: uint256, amount: uint256, destination: bytes32, message: bytes32
):
    """
    @notice End units here so that they can live in another registry. The holder or an approved
            operator may, once a message.
    @param holder Whose units.
    @param id Which certificate.
    @param amount How many Wh.
    @param destination Which registry, as agreed with it.
    @param message What names this export in both registries.
    """
    self._require_mover(holder)
    self._require_alive(id)
    assert destination != empty(bytes32), "certificate: no destination"
    assert message != empty(bytes32), "certificate: no message"
    assert self.exported[message] == empty(bytes32), "certificate: message is used"
    self._move(holder, empty(address), id, amount, 0)
    self.exported[message] = keccak256(abi_encode(id, amount))
    self._announce(holder, empty(address), id, amount)
    log Exported(holder=holder, destination=destination, message=message, id=id, value=amount)


@external
@nonreentrant
def restore(holder: address, id: uint256, amount: uint256, message: bytes32):
    """
    @notice Bring back exactly what a message exported, once, after the other registry has ended
            it. Only the issuer may.
    @param holder Who gets them.
    @param id Which certificate.
    @param amount How many Wh.
    @param message The message of their export.
    """
    self._require_issuer(1)  # the message is the reason
    assert (
        self.exported[message] == keccak256(abi_encode(id, amount))
    ), "certificate: message did not export this"
    self.exported[message] = RESTORED
    source: uint256 = staticcall Registry(registry).source_of(id >> 96)
    self._move(empty(address), holder, id, amount, source)
    log Restored(holder=holder, message=message, id=id, value=amount)
    self._bring(empty(address), holder, id, amount)


@external
@nonreentrant
def reserve(holder: address, number: uint256, id: uint256, amount: uint256) -> address:
    """
    @notice Put units into an escrow of the caller's: a place that only `release` by the same
            caller empties. The holder or an approved operator may.
    @param holder Whose units.
    @param number Which of the caller's escrows for this holder.
    @param id Which certificate.
    @param amount How many Wh.
    @return The escrow's address, under which its balance is read.
    """
    self._require_mover(holder)
    self._require_alive(id)
    escrow: address = self._escrow(msg.sender, holder, number)
    self._move(holder, escrow, id, amount, 0)
    log Reserved(agent=msg.sender, holder=holder, escrow=escrow, number=number)
    self._announce(holder, escrow, id, amount)
    return escrow


@external
@nonreentrant
def release(
    holder: address, number: uint256, receiver: address, id: uint256, amount: uint256
) -> uint256:
    """
    @notice Take units out of an escrow of the caller's. Expired ones only return to their holder.
    @param holder Who put them in.
    @param number Which of the caller's escrows for this holder.
    @param receiver Who gets them; a contract must accept them.
    @param id Which certificate.
    @param amount How many Wh.
    @return How many Wh of it are left there.
    """
    if receiver != holder:
        self._require_alive(id)
    escrow: address = self._escrow(msg.sender, holder, number)
    self._move(escrow, receiver, id, amount, 0)
    left: uint256 = self._balance(escrow, id, 0)
    self._bring(escrow, receiver, id, amount)
    return left


@external
@nonreentrant
def safeTransferFrom(
    sender: address, receiver: address, id: uint256, amount: uint256, data: Bytes[1024]
):
    """
    @notice Move units of one certificate. The holder or an approved operator may.
    @param sender Whose units.
    @param receiver Who gets them; a contract must accept them.
    @param id Which certificate.
    @param amount How many Wh, at least one.
    @param data Passed on to a receiving contract.
    """
    self._require_mover(sender)
    self._require_alive(id)
    self._move(sender, receiver, id, amount, 0)
    self._announce(sender, receiver, id, amount)
    self._offer_single(sender, receiver, id, amount, data)


@external
@nonreentrant
def safeBatchTransferFrom(
    sender: address,
    receiver: address,
    ids: DynArray[uint256, BATCH_MAX],
    amounts: DynArray[uint256, BATCH_MAX],
    data: Bytes[1024],
):
    """
    @notice Move units of several certificates at once, or none.
    @param sender Whose units.
    @param receiver Who gets them; a contract must accept them.
    @param ids Which certificates, at most 64.
    @param amounts How many Wh of each, at least one.
    @param data Passed on to a receiving contract.
    """
    self._require_mover(sender)
    assert len(ids) == len(amounts), "certificate: not one amount per id"
    for i: uint256 in range(len(ids), bound=BATCH_MAX):
        self._require_alive(ids[i])
        self._move(sender, receiver, ids[i], amounts[i], 0)
    log TransferBatch(
        operator=msg.sender, sender=sender, receiver=receiver, ids=ids, values=amounts
    )
    self._offer_batch(sender, receiver, ids, amounts, data)


@external
def setApprovalForAll(operator: address, approved: bool):
    """
    @notice Let another move and retire all the caller's certificates, or stop it.
    @param operator Who.
    @param approved Whether.
    """
    assert operator != msg.sender, "certificate: approval of oneself"
    self.isApprovedForAll[msg.sender][operator] = approved
    log ApprovalForAll(owner=msg.sender, operator=operator, approved=approved)


@external
@view
def balanceOf(owner: address, id: uint256) -> uint256:
    """
    @notice Units an owner holds of a certificate.
    """
    return self._balance(owner, id, 0)


@external
@view
def balanceOfBatch(
    owners: DynArray[address, BATCH_MAX], ids: DynArray[uint256, BATCH_MAX]
) -> DynArray[uint256, BATCH_MAX]:
    """
    @notice Units each owner holds of the certificate at the same place.
    """
    return self._balances(owners, ids, 0)


@external
@view
def claimedBalanceOf(owner: address, id: uint256) -> uint256:
    """
    @notice Units of a certificate that an owner has retired (ERC-1888).
    """
    return self._balance(owner, id, LANE_BITS)


@external
@view
def claimedBalanceOfBatch(
    owners: DynArray[address, BATCH_MAX], ids: DynArray[uint256, BATCH_MAX]
) -> DynArray[uint256, BATCH_MAX]:
    """
    @notice Units each owner has retired of the certificate at the same place (ERC-1888).
    """
    return self._balances(owners, ids, LANE_BITS)


@external
@view
def is_issued(id: uint256) -> bool:
    """
    @notice Whether this certificate has ever been issued, be it held or retired now.
    """
    if not self._is_on_grid(id):
        return False
    key: uint256 = 0
    bit: uint256 = 0
    key, bit = self._issue_bit(id)
    return self.issued[key] & bit != 0


@external
@view
def expires_at(id: uint256) -> uint256:
    """
    @notice When units of a certificate expire, UTC seconds; 2**64 and later: never.
    """
    return (id >> 32 & U64) + (id & U32) + lifetime


@external
@view
def escrow_of(agent: address, holder: address, number: uint256) -> address:
    """
    @notice The address of an escrow.
    @param agent Who may release from it.
    @param holder Who put units in.
    @param number Which of the agent's escrows for this holder.
    """
    return self._escrow(agent, holder, number)


@external
@view
def last_of(meter: uint256) -> (uint256, uint256, uint256, bytes32):
    """
    @notice Sequence, end, export register in mWh and digest of the last record of a meter that
            writes here itself.
    """
    last: Progress = self.progress[meter]
    return last.state >> 192, last.state >> 128 & U64, last.state >> 64 & U64, last.digest


@external
@view
def getCertificate(id: uint256) -> (address, uint256, Bytes[36], Bytes[224]):
    """
    @notice What a certificate says (ERC-1888).
    @return Issuer, topic (source code), the call by which this contract shows that it was issued,
            and data: meter, start, duration, community, source, rated W, first day.
    """
    producer: Producer = self._meter(id >> 96)
    return (
        producer.issuer,
        producer.source,
        abi_encode(id, method_id=method_id("is_issued(uint256)")),
        abi_encode(
            id >> 96,
            (id >> 32) & U64,
            id & U32,
            producer.community,
            producer.source,
            producer.rated_w,
            producer.first_day,
        ),
    )


@external
@view
def uri(id: uint256) -> String[427]:
    """
    @notice What a wallet shows of a certificate (ERC-1155 metadata), as a JSON document in a
            `data:` URI; the reader puts the id's 64 hex digits in the place of {id}.
    """
    source: uint256 = staticcall Registry(registry).source_of(id >> 96)
    return concat(
        "data:application/json,%7B%22name%22:%22Electricity%20of%20known%20origin,%201%20Wh%22,",
        "%22decimals%22:0,%22properties%22:%7B%22id%22:%220x{id}%22,%22start%22:",
        uint2str(id >> 32 & U64),
        ",%22duration%22:",
        uint2str(id & U32),
        ",%22source%22:",
        uint2str(source),
        "%7D%7D",
    )


@external
@view
def supportsInterface(interface_id: bytes4) -> bool:
    """
    @notice Which interfaces this contract has (ERC-165).
    """
    return interface_id in [INTERFACE_ERC165, INTERFACE_ERC1155, INTERFACE_METADATA]


@internal
@view
def _producer(meter: uint256, community: address, duration: uint256, link: Link) -> Producer:
    """
    @notice The meter, if it may cause certificates in this community from now on.
    @param link Its record before the first interval.
    """
    producer: Producer = self._generator(meter)
    # A meter's community has been founded, so this makes the seal's community a founded one.
    assert producer.community == community, "certificate: meter is of another community"
    assert not producer.direct, "certificate: meter writes to the chain itself"
    assert (
        duration >= MINUTE and duration <= HOUR
    ), "certificate: interval is not between a minute and an hour"
    assert link.time_end % duration == 0, "certificate: interval is not on the grid"
    assert link.time_end >= producer.first_day * DAY, "certificate: before the meter's first day"
    if link.sequence == 0:
        self._require_opening(meter, link.digest)
    return producer


@internal
@view
def _meter(meter: uint256) -> Producer:
    """
    @notice What the registry knows of a meter.
    """
    producer: Producer = staticcall Registry(registry).producer(meter)
    assert producer.community != empty(address), "certificate: unknown meter"
    return producer


@internal
@view
def _generator(meter: uint256) -> Producer:
    """
    @notice A meter, if it may cause certificates at all.
    """
    producer: Producer = self._meter(meter)
    assert (
        producer.role == ROLE_GENERATION and producer.source != 0
    ), "certificate: meter is not generation with a source"
    return producer


@internal
def _certify(
    meter: uint256,
    producer: Producer,
    duration: uint256,
    before: Link,
    step: Step,
    digest: bytes32,
) -> uint256:
    """
    @notice Prove that an anchored statement certifies a record, and credit its free units.
    @param before The record before.
    @param digest SHA-256 of the record.
    @return The certificate's id.
    """
    self._check_energy(step, before.export_mwh, producer.rated_w * duration)
    start: uint256 = before.time_end
    kept: uint256 = self.kept_from[meter]
    assert kept == 0 or start < kept, "certificate: kept in the book"
    place: uint256 = convert(producer.community, uint256) << 96 | start << 32 | duration
    anchor: bytes32 = sha256(
        concat(step.body, convert(place, bytes32), convert(step.size, bytes4), step.root)
    )
    known: bytes32 = staticcall Settlement(producer.community).anchors(start)
    assert known == anchor, "certificate: statement is not anchored"

    # The leaf: meter 20 | issued 8 | retired 8 | free 8 | digest 32, behind a zero byte.
    issued: uint256 = convert(step.issued, uint256)
    free: uint256 = convert(step.free, uint256)
    retired: uint256 = unsafe_sub(issued, free)
    figures: uint256 = meter << 96 | issued << 32 | retired >> 32
    leaf: bytes32 = sha256(
        concat(
            b"\x00",
            convert(figures, bytes32),
            slice(convert(retired << 64 | free, bytes32), 20, 12),
            digest,
        )
    )
    assert (
        self._root(leaf, convert(step.index, uint256), convert(step.size, uint256), step.path)
        == step.root
    ), "certificate: not in the statement"

    id: uint256 = meter << 96 | start << 32 | duration
    self._issue(id, free, producer)
    return id


@internal
def _issue(id: uint256, amount: uint256, producer: Producer):
    """
    @notice Credit units to a meter's owner, once an interval.
    """
    self._mark_issued(id)
    self._move(empty(address), producer.owner, id, amount, producer.source)
    log IssuanceSingle(issuer=producer.issuer, topic=producer.source, id=id, value=amount)


@internal
@pure
def _root(
    leaf: bytes32, index: uint256, size: uint256, path: DynArray[bytes32, PATH_MAX]
) -> bytes32:
    """
    @notice The root that a hashed leaf and its path lead to (RFC 9162, 2.1.3.2).
    """
    assert index < size, "certificate: no such leaf"
    place: uint256 = index
    last: uint256 = unsafe_sub(size, 1)
    node: bytes32 = leaf
    for sibling: bytes32 in path:
        assert last != 0, "certificate: path too long"
        if place & 1 == 1 or place == last:
            node = sha256(concat(b"\x01", sibling, node))
            # A last node without a sibling was carried up: so many levels have none.
            for _: uint256 in range(PATH_MAX):
                if place & 1 == 1 or place == 0:
                    break
                place >>= 1
                last >>= 1
        else:
            node = sha256(concat(b"\x01", node, sibling))
        place >>= 1
        last >>= 1
    assert last == 0, "certificate: path too short"
    return node


@internal
@view
def _meter_of(record: Bytes[RECORD_BYTES]) -> uint256:
    """
    @notice The meter that a record is of, if the record is for this ledger.
    """
    assert len(record) == RECORD_BYTES, "certificate: record is not 100 bytes"
    head: uint256 = convert(extract32(record, 0), uint256)
    assert head >> 248 == RECORD_VERSION, "certificate: unknown record version"
    own_ledger: uint256 = convert(convert(ledger, uint64), uint256)
    assert (head >> 160) & U64 == own_ledger, "certificate: record is for another ledger"
    return head & U160


@internal
@pure
def _link(record: Bytes[RECORD_BYTES]) -> Link:
    """
    @notice What the next record needs to know of a record.
    """
    body: uint256 = convert(extract32(record, 32), uint256)
    return Link(
        sequence=body >> 192,
        time_end=(body >> 128) & U64,
        export_mwh=convert(extract32(record, 36), uint256) & U64,
        digest=sha256(record),
    )


@internal
@view
def _require_opening(meter: uint256, digest: bytes32):
    """
    @notice Refuse a record that is not the one a meter was registered with.
    """
    opening: bytes32 = staticcall Registry(registry).opening_of(meter)
    assert digest == opening, "certificate: not the meter's opening record"


@internal
@pure
def _require_next(record: Bytes[RECORD_BYTES], digest: bytes32, sequence: uint256):
    """
    @notice Refuse a record that does not follow the one with this digest and sequence.
    """
    assert extract32(record, 68) == digest, "certificate: previous record is not the one named"
    own: uint256 = convert(extract32(record, 32), uint256) >> 192
    assert own == sequence + 1, "certificate: records are not adjacent"


@internal
@view
def _digest(meter: uint256, duration: uint256, before: Link, step: Step) -> bytes32:
    """
    @notice SHA-256 of a record rebuilt from a step.
    @param before The record before.
    """
    head: uint256 = (
        RECORD_VERSION << 248
        | convert(step.kind, uint256) << 240
        | convert(step.quality, uint256) << 224
        | convert(convert(ledger, uint64), uint256) << 160
        | meter
    )
    export_mwh: uint256 = convert(step.export_mwh, uint256)
    body: uint256 = (
        before.sequence + 1 << 192
        | before.time_end + duration << 128
        | duration << 96
        | convert(step.import_mwh, uint256) << 32
        | export_mwh >> 32
    )
    return sha256(
        concat(
            convert(head, bytes32),
            convert(body, bytes32),
            slice(convert(export_mwh, bytes32), 28, 4),
            before.digest,
        )
    )


@internal
@pure
def _check_energy(step: Step, before_mwh: uint256, rated_ws: uint256):
    """
    @notice Refuse what the meter did not measure, or cannot have produced.
    @param before_mwh The register before.
    @param rated_ws Rated power for the length of the interval, in Ws.
    """
    now_mwh: uint256 = convert(step.export_mwh, uint256)
    assert step.kind <= KIND_INTERVAL_ONLY, "certificate: record is not of this kind"
    assert self._is_sound(convert(step.quality, uint256)), "certificate: reading is not sound"
    assert now_mwh >= before_mwh, "certificate: register went down"
    produced_wh: uint256 = now_mwh // MWH_PER_WH - before_mwh // MWH_PER_WH
    assert produced_wh <= self._limit_wh(rated_ws), "certificate: more than rated power"
    assert convert(step.issued, uint256) <= produced_wh, "certificate: more than the meter shows"
    assert step.free <= step.issued, "certificate: more free than issued"


@internal
@pure
def _is_sound(quality: uint256) -> bool:
    """
    @notice Measured or calculated, and nothing said against it.
    """
    return quality & QUALITY_SOUND != 0 and quality & QUALITY_UNSOUND == 0


@internal
@pure
def _limit_wh(rated_ws: uint256) -> uint256:
    """
    @notice The most that is believed of an interval: rated power and a quarter, if a lane holds it.
    """
    return min(rated_ws * MARGIN_OVER // (HOUR * MARGIN_UNDER), LANE_MASK)


@internal
def _take_down(meter: uint256, link: Link, reached: uint256):
    """
    @notice Remember the last record of a meter that writes here itself.
    @param reached The latest end of an interval that any of its records has had.
    """
    self.progress[meter] = Progress(
        state=link.sequence << 192 | link.time_end << 128 | link.export_mwh << 64 | reached,
        digest=link.digest,
    )
    log Recorded(
        meter=meter,
        sequence=link.sequence,
        time_end=link.time_end,
        export_mwh=link.export_mwh,
        digest=link.digest,
    )


@internal
@pure
def _proven(
    record: Bytes[RECORD_BYTES], link: Link, before: uint256, producer: Producer
) -> uint256:
    """
    @notice Whole Wh that a record proves for its interval; 0 for one that proves none.
    @param link What the record says.
    @param before State after the record before it.
    """
    head: uint256 = convert(extract32(record, 0), uint256)
    duration: uint256 = convert(extract32(record, 20), uint256) & U32
    before_mwh: uint256 = before >> 64 & U64
    # The interval starts where the last record ended, and no record ever ended later than that.
    if link.time_end != (before >> 128 & U64) + duration or before >> 128 & U64 != before & U64:
        return 0
    if duration < MINUTE or duration > HOUR or link.time_end % duration != 0:
        return 0
    if before & U64 < producer.first_day * DAY or link.export_mwh < before_mwh:
        return 0
    if head >> 240 & 255 > convert(KIND_INTERVAL_ONLY, uint256):
        return 0
    if not self._is_sound(head >> 224 & 65535):
        return 0
    produced_wh: uint256 = link.export_mwh // MWH_PER_WH - before_mwh // MWH_PER_WH
    if produced_wh > self._limit_wh(producer.rated_w * duration):
        return 0
    return produced_wh


@internal
@view
def _check_signature(digest: bytes32, r: uint256, s: uint256, x: uint256, y: uint256):
    """
    @notice Refuse any signature but the meter's own, in its one accepted form.
    """
    assert s <= HALF_ORDER, "certificate: signature is not in its low form"
    answer: Bytes[32] = raw_call(
        P256_VERIFY,
        abi_encode(digest, r, s, x, y),
        max_outsize=32,
        is_static_call=True,
    )
    # A bad signature gives an empty answer, and so does a chain without the precompile; that is 0.
    assert convert(answer, uint256) == 1, "certificate: signature is not the meter's"


@internal
@pure
def _is_on_grid(id: uint256) -> bool:
    """
    @notice Whether an id can exist: only those share slots without clashing.
    """
    duration: uint256 = id & U32
    return duration != 0 and ((id >> 32) & U64) % duration == 0


@internal
@pure
def _issue_bit(id: uint256) -> (uint256, uint256):
    """
    @notice Slot and bit that say whether an id on the grid was issued.
    """
    duration: uint256 = id & U32
    number: uint256 = ((id >> 32) & U64) // duration
    return ((id >> 96) << 96) | ((number >> 8) << 32) | duration, 1 << (number & 255)


@internal
@pure
def _place(id: uint256) -> (uint256, uint256):
    """
    @notice Slot of an id, and offset in it of its held lane; the retired lane is above that.
    """
    duration: uint256 = id & U32
    start: uint256 = id >> 32 & U64
    number: uint256 = unsafe_div(start, duration)
    if unsafe_mul(number, duration) != start:
        return NOWHERE, 0
    # A duration of zero is left: as nothing is issued for none, its slots are empty, too.
    third: uint256 = unsafe_div(number, INTERVALS_PER_SLOT)
    place: uint256 = unsafe_sub(number, unsafe_mul(third, INTERVALS_PER_SLOT))
    return (id >> 96 << 96) | third << 32 | duration, unsafe_mul(place, 2 * LANE_BITS)


@internal
def _mark_issued(id: uint256):
    """
    @notice Refuse a second issue. Intervals of one meter never overlap, because those of its
            one community do not.
    """
    key: uint256 = 0
    bit: uint256 = 0
    key, bit = self._issue_bit(id)
    bits: uint256 = self.issued[key]
    assert bits & bit == 0, "certificate: interval already claimed"
    self.issued[key] = bits | bit


@internal
def _move(sender: address, receiver: address, id: uint256, amount: uint256, source: uint256):
    """
    @notice Take units from a holder and add them to another. Nobody (zero) as sender: they are
            new; as receiver: they end. A slot is freed when its last lane is empty. Lanes never
            overflow, because units of one id are issued once, within what a lane holds.
    @param source Source code of the meter of new units.
    """
    assert amount != 0, "certificate: amount is zero"
    key: uint256 = 0
    offset: uint256 = 0
    key, offset = self._place(id)
    top: uint256 = source << SOURCE_AT
    if sender != empty(address):
        word: uint256 = self.units[sender][key]
        assert word >> offset & LANE_MASK >= amount, "certificate: balance too small"
        word = unsafe_sub(word, amount << offset)
        top = word & ~LANES_MASK
        self.units[sender][key] = word if word != top else 0
    if receiver != empty(address):
        word: uint256 = self.units[receiver][key] | top
        self.units[receiver][key] = unsafe_add(word, amount << offset)


@internal
def _turn(holder: address, id: uint256, amount: uint256, lane: uint256) -> uint256:
    """
    @notice Turn held units into retired ones, or back.
    @param lane Which lane of the pair they are taken out of: 0 held, 37 retired.
    @return Source code of their meter.
    """
    assert amount != 0, "certificate: amount is zero"
    key: uint256 = 0
    offset: uint256 = 0
    key, offset = self._place(id)
    word: uint256 = self.units[holder][key]
    assert (
        word >> unsafe_add(offset, lane) & LANE_MASK >= amount
    ), "certificate: balance too small"
    rest: uint256 = unsafe_sub(word, amount << unsafe_add(offset, lane))
    into: uint256 = unsafe_add(offset, unsafe_sub(LANE_BITS, lane))
    self.units[holder][key] = unsafe_add(rest, amount << into)
    return word >> SOURCE_AT


@internal
@view
def _balance(owner: address, id: uint256, lane: uint256) -> uint256:
    """
    @notice Units of any id.
    @param lane 0 for held ones, 37 for retired ones.
    """
    key: uint256 = 0
    offset: uint256 = 0
    key, offset = self._place(id)
    return self.units[owner][key] >> offset + lane & LANE_MASK


@internal
@view
def _balances(
    owners: DynArray[address, BATCH_MAX], ids: DynArray[uint256, BATCH_MAX], lane: uint256
) -> DynArray[uint256, BATCH_MAX]:
    """
    @notice Units of each owner of the certificate at the same place.
    @param lane 0 for held ones, 37 for retired ones.
    """
    assert len(owners) == len(ids), "certificate: not one owner per id"
    balances: DynArray[uint256, BATCH_MAX] = []
    for i: uint256 in range(len(ids), bound=BATCH_MAX):
        balances.append(self._balance(owners[i], ids[i], lane))
    return balances


@internal
@view
def _require_alive(id: uint256):
    """
    @notice Refuse units whose time is over.
    """
    assert (
        block.timestamp < unsafe_add(unsafe_add(id >> 32 & U64, id & U32), lifetime)
    ), "certificate: units have expired"


@internal
@view
def _require_issuer(said: uint256):
    """
    @notice Refuse everybody but the issuer, and the issuer if it does not say why.
    @param said Length of the reason.
    """
    issuer: address = staticcall Registry(registry).issuer()
    assert msg.sender == issuer, "certificate: caller is not the issuer"
    assert said != 0, "certificate: no reason given"


@internal
@pure
def _escrow(agent: address, holder: address, number: uint256) -> address:
    """
    @notice The address of an escrow: a hash, to which nobody has a key.
    """
    digest: bytes32 = keccak256(abi_encode(agent, holder, number))
    return convert(convert(convert(digest, uint256) & U160, uint160), address)


@internal
@view
def _require_mover(holder: address):
    """
    @notice Refuse who may not move a holder's units.
    """
    assert (
        msg.sender == holder or self.isApprovedForAll[holder][msg.sender]
    ), "certificate: caller is neither holder nor approved"


@internal
def _announce(sender: address, receiver: address, id: uint256, amount: uint256):
    """
    @notice Say where units have gone (ERC-1155); zero: nowhere.
    """
    log TransferSingle(
        operator=msg.sender, sender=sender, receiver=receiver, id=id, value=amount
    )


@internal
def _bring(sender: address, receiver: address, id: uint256, amount: uint256):
    """
    @notice Say where units have gone, and ask a receiving contract, without words.
    """
    self._announce(sender, receiver, id, amount)
    self._offer_single(sender, receiver, id, amount, b"")


@internal
def _offer_single(
    sender: address, receiver: address, id: uint256, amount: uint256, data: Bytes[1024]
):
    """
    @notice Ask a receiving contract whether it can hold certificates (ERC-1155).
    """
    assert receiver != empty(address), "certificate: no receiver"
    if receiver.is_contract:
        answer: bytes4 = extcall Receiver(receiver).onERC1155Received(
            msg.sender, sender, id, amount, data
        )
        assert answer == method_id(
            "onERC1155Received(address,address,uint256,uint256,bytes)", output_type=bytes4
        ), "certificate: receiver refused"


@internal
def _offer_batch(
    sender: address,
    receiver: address,
    ids: DynArray[uint256, BATCH_MAX],
    amounts: DynArray[uint256, BATCH_MAX],
    data: Bytes[1024],
):
    """
    @notice Ask a receiving contract whether it can hold these certificates (ERC-1155).
    """
    assert receiver != empty(address), "certificate: no receiver"
    if receiver.is_contract:
        answer: bytes4 = extcall Receiver(receiver).onERC1155BatchReceived(
            msg.sender, sender, ids, amounts, data
        )
        assert answer == method_id(
            "onERC1155BatchReceived(address,address,uint256[],uint256[],bytes)",
            output_type=bytes4,
        ), "certificate: receiver refused"
