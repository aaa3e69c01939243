# pragma version 0.4.3
# SPDX-License-Identifier: Apache-2.0
"""
@title Certificate
@license Apache-2.0
@notice Proof of origin for exact watt-hours of one meter and one interval, one unit a Wh. It
        exists only after the meter's own signature, its registers and an anchored statement have
        been checked here; it is issued once and retired once, and nothing ever returns.
@dev ERC-1155 with the reading functions and events of ERC-1888. A token's id is
     meter << 96 | start << 32 | duration. Units of six neighbouring intervals of a meter share a
     storage slot of their holder, and so do retired units.
"""

from ethereum.ercs import IERC165

implements: IERC165

interface Registry:
    def producer(meter: uint256) -> Producer: view
    def opening_of(meter: uint256) -> bytes32: view
    def source_of(meter: uint256) -> uint256: view

interface Settlement:
    def anchors(start: uint256) -> bytes32: view

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
KIND_INTERVAL_ONLY: constant(uint256) = 1

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
HOUR: constant(uint256) = 3600
DAY: constant(uint256) = 86400
MWH_PER_WH: constant(uint256) = 1000

# A run of 32 is eight hours of quarter hours; a path of 20 is for a million certificates.
RUN_MAX: constant(uint256) = 32
PATH_MAX: constant(uint256) = 20
BATCH_MAX: constant(uint256) = 64

# Units of one interval: at most 2**40 W for an hour and a quarter more, so below 2**42.
LANE_BITS: constant(uint256) = 42
LANES_PER_SLOT: constant(uint256) = 6
LANE_MASK: constant(uint256) = 2**42 - 1

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

struct Purpose:
    beneficiary: String[96]
    location: String[96]
    country: String[2]
    period_start: uint64
    period_end: uint64
    purpose: String[96]

# holder -> meter | sixth of interval number | duration -> six lanes of units
held: HashMap[address, HashMap[uint256, uint256]]
retired: HashMap[address, HashMap[uint256, uint256]]
# meter | 256th of interval number | duration -> one bit an interval
issued: HashMap[uint256, uint256]
isApprovedForAll: public(HashMap[address, HashMap[address, bool]])

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
    claim_data: Bytes[640]


@deploy
def __init__(registry_: address):
    """
    @notice Start with no certificates.
    @param registry_ Where meters and communities are registered.
    """
    assert registry_.is_contract, "certificate: registry is not a contract"
    registry = registry_
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
    assert len(record) == RECORD_BYTES, "certificate: record is not 100 bytes"
    assert free != 0, "certificate: nothing free to claim"

    # 32 community 20 | 52 start 8 | 60 duration 4 | 64 size 4 | 68 root 32
    place: uint256 = convert(extract32(seal, 32), uint256)
    start: uint256 = place >> 32 & U64
    duration: uint256 = place & U32
    meter: uint256 = self._meter_of(previous)
    link: Link = self._link(previous)
    community: address = convert(convert(place >> 96, uint160), address)
    producer: Producer = self._producer(meter, community, duration, link)

    head: uint256 = convert(extract32(record, 0), uint256)
    body: uint256 = convert(extract32(record, 32), uint256)
    assert self._meter_of(record) == meter, "certificate: previous record is of another meter"
    assert extract32(record, 68) == link.digest, "certificate: previous record is not the one named"
    assert body >> 192 == link.sequence + 1, "certificate: records are not adjacent"
    assert link.time_end == start, "certificate: records are not adjacent"
    assert body >> 128 & U64 == start + duration, "certificate: record is of another interval"
    assert body >> 96 & U32 == duration, "certificate: record is of another interval"

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
    log TransferSingle(
        operator=msg.sender, sender=empty(address), receiver=producer.owner, id=id, value=amount
    )
    self._offer_single(empty(address), producer.owner, id, amount, b"")


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
def retire(holder: address, id: uint256, amount: uint256, purpose: Purpose):
    """
    @notice Use units up for good. The holder or an approved operator may.
    @param holder Whose units.
    @param id Which certificate.
    @param amount How many Wh.
    @param purpose Who may claim the use (beneficiary), where (location, country code), for which
           period of consumption (it must contain the interval of production), and why.
    """
    assert self._may_move(holder), "certificate: caller is neither holder nor approved"
    start: uint256 = (id >> 32) & U64
    assert (
        convert(purpose.period_start, uint256) <= start
        and start + (id & U32) <= convert(purpose.period_end, uint256)
    ), "certificate: period does not contain the interval"
    self._take(holder, id, amount)
    key: uint256 = 0
    offset: uint256 = 0
    key, offset = self._place(id)
    self.retired[holder][key] += amount << offset
    log TransferSingle(
        operator=msg.sender, sender=holder, receiver=empty(address), id=id, value=amount
    )
    log ClaimSingle(
        claim_issuer=holder,
        claim_subject=holder,
        topic=staticcall Registry(registry).source_of(id >> 96),
        id=id,
        value=amount,
        claim_data=abi_encode(
            purpose.beneficiary,
            purpose.location,
            purpose.country,
            purpose.period_start,
            purpose.period_end,
            purpose.purpose,
        ),
    )


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
    assert self._may_move(sender), "certificate: caller is neither holder nor approved"
    assert receiver != empty(address), "certificate: no receiver"
    self._take(sender, id, amount)
    self._give(receiver, id, amount)
    log TransferSingle(
        operator=msg.sender, sender=sender, receiver=receiver, id=id, value=amount
    )
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
    assert self._may_move(sender), "certificate: caller is neither holder nor approved"
    assert receiver != empty(address), "certificate: no receiver"
    assert len(ids) == len(amounts), "certificate: not one amount per id"
    for i: uint256 in range(len(ids), bound=BATCH_MAX):
        self._take(sender, ids[i], amounts[i])
        self._give(receiver, ids[i], amounts[i])
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
    return self._held(owner, id)


@external
@view
def balanceOfBatch(
    owners: DynArray[address, BATCH_MAX], ids: DynArray[uint256, BATCH_MAX]
) -> DynArray[uint256, BATCH_MAX]:
    """
    @notice Units each owner holds of the certificate at the same place.
    """
    assert len(owners) == len(ids), "certificate: not one owner per id"
    balances: DynArray[uint256, BATCH_MAX] = []
    for i: uint256 in range(len(ids), bound=BATCH_MAX):
        balances.append(self._held(owners[i], ids[i]))
    return balances


@external
@view
def claimedBalanceOf(owner: address, id: uint256) -> uint256:
    """
    @notice Units of a certificate that an owner has retired (ERC-1888).
    """
    return self._retired(owner, id)


@external
@view
def claimedBalanceOfBatch(
    owners: DynArray[address, BATCH_MAX], ids: DynArray[uint256, BATCH_MAX]
) -> DynArray[uint256, BATCH_MAX]:
    """
    @notice Units each owner has retired of the certificate at the same place (ERC-1888).
    """
    assert len(owners) == len(ids), "certificate: not one owner per id"
    balances: DynArray[uint256, BATCH_MAX] = []
    for i: uint256 in range(len(ids), bound=BATCH_MAX):
        balances.append(self._retired(owners[i], ids[i]))
    return balances


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
def getCertificate(id: uint256) -> (address, uint256, Bytes[36], Bytes[224]):
    """
    @notice What a certificate says (ERC-1888).
    @return Issuer, topic (source code), the call by which this contract shows that it was issued,
            and data: meter, start, duration, community, source, rated W, first day.
    """
    producer: Producer = staticcall Registry(registry).producer(id >> 96)
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
def uri(id: uint256) -> String[64]:
    """
    @notice The same for all ids; {id} is replaced by the reader (ERC-1155 metadata).
    """
    return "commonwatt:certificate/{id}"


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
    producer: Producer = staticcall Registry(registry).producer(meter)
    assert producer.community != empty(address), "certificate: unknown meter"
    # A meter's community has been founded, so this makes the seal's community a founded one.
    assert producer.community == community, "certificate: meter is of another community"
    assert (
        producer.role == ROLE_GENERATION and producer.source != 0
    ), "certificate: meter is not generation with a source"
    assert not producer.direct, "certificate: meter writes to the chain itself"
    assert duration != 0 and duration <= HOUR, "certificate: interval is longer than an hour"
    assert link.time_end % duration == 0, "certificate: interval is not on the grid"
    assert link.time_end >= producer.first_day * DAY, "certificate: before the meter's first day"
    if link.sequence == 0:
        opening: bytes32 = staticcall Registry(registry).opening_of(meter)
        assert link.digest == opening, "certificate: not the meter's opening record"
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
    self._mark_issued(id)
    self._give(producer.owner, id, free)
    log IssuanceSingle(issuer=producer.issuer, topic=producer.source, id=id, value=free)
    return id


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
    kind: uint256 = convert(step.kind, uint256)
    quality: uint256 = convert(step.quality, uint256)
    now_mwh: uint256 = convert(step.export_mwh, uint256)
    assert kind <= KIND_INTERVAL_ONLY, "certificate: record is not of this kind"
    assert (
        quality & QUALITY_SOUND != 0 and quality & QUALITY_UNSOUND == 0
    ), "certificate: reading is not sound"
    assert now_mwh >= before_mwh, "certificate: register went down"
    produced_wh: uint256 = now_mwh // MWH_PER_WH - before_mwh // MWH_PER_WH
    limit_wh: uint256 = rated_ws * MARGIN_OVER // (HOUR * MARGIN_UNDER)
    assert produced_wh <= limit_wh, "certificate: more than rated power"
    assert convert(step.issued, uint256) <= produced_wh, "certificate: more than the meter shows"
    assert step.free <= step.issued, "certificate: more free than issued"


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
    # A bad signature gives an empty answer, and so does a chain without the precompile.
    assert len(answer) == 32, "certificate: signature is not the meter's"
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
    @notice Slot and offset of the lane of an id on the grid.
    """
    duration: uint256 = id & U32
    number: uint256 = ((id >> 32) & U64) // duration
    return (
        ((id >> 96) << 96) | ((number // LANES_PER_SLOT) << 32) | duration,
        number % LANES_PER_SLOT * LANE_BITS,
    )


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
def _give(receiver: address, id: uint256, amount: uint256):
    """
    @notice Add units to a holder. Units of one id never exceed a lane: they are issued once,
            within rated power.
    """
    key: uint256 = 0
    offset: uint256 = 0
    key, offset = self._place(id)
    self.held[receiver][key] += amount << offset


@internal
def _take(holder: address, id: uint256, amount: uint256):
    """
    @notice Take units from a holder; the slot is freed with the last of its six lanes.
    """
    assert amount != 0, "certificate: amount is zero"
    assert self._is_on_grid(id), "certificate: balance too small"
    key: uint256 = 0
    offset: uint256 = 0
    key, offset = self._place(id)
    word: uint256 = self.held[holder][key]
    assert (word >> offset) & LANE_MASK >= amount, "certificate: balance too small"
    self.held[holder][key] = unsafe_sub(word, amount << offset)


@internal
@view
def _held(owner: address, id: uint256) -> uint256:
    """
    @notice Units held of any id.
    """
    if not self._is_on_grid(id):
        return 0
    key: uint256 = 0
    offset: uint256 = 0
    key, offset = self._place(id)
    return (self.held[owner][key] >> offset) & LANE_MASK


@internal
@view
def _retired(owner: address, id: uint256) -> uint256:
    """
    @notice Units retired of any id.
    """
    if not self._is_on_grid(id):
        return 0
    key: uint256 = 0
    offset: uint256 = 0
    key, offset = self._place(id)
    return (self.retired[owner][key] >> offset) & LANE_MASK


@internal
@view
def _may_move(holder: address) -> bool:
    """
    @notice Whether the caller may move a holder's units.
    """
    return msg.sender == holder or self.isApprovedForAll[holder][msg.sender]


@internal
def _offer_single(
    sender: address, receiver: address, id: uint256, amount: uint256, data: Bytes[1024]
):
    """
    @notice Ask a receiving contract whether it can hold certificates (ERC-1155).
    """
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
    if receiver.is_contract:
        answer: bytes4 = extcall Receiver(receiver).onERC1155BatchReceived(
            msg.sender, sender, ids, amounts, data
        )
        assert answer == method_id(
            "onERC1155BatchReceived(address,address,uint256[],uint256[],bytes)",
            output_type=bytes4,
        ), "certificate: receiver refused"
