"""What the ERC-1155 standard asks of a token, case by case, against the certificates.

The cases are those of the standard's own text (its "Safe Transfer Rules" with their scenarios) and
of OpenZeppelin's behaviour tests (MIT), said again in our words. Where another module shows a case
already, the table says so: H is `test_holding`, A `test_artefacts`, C `test_claims`, X
`test_exchange`, I `test_issuer_acts`, M `test_certificate_model`; "here" is below.

| case | shown by |
|---|---|
| balanceOf: units held; none of an id never issued | H units move, H ids that no certificate |
| balanceOf, balanceOfBatch of the zero address: zero units (1) | here |
| balanceOfBatch: too few owners | H read in batches |
| balanceOfBatch: too many, the order, one pair twice, none, the most | here |
| setApprovalForAll: given, taken back, for oneself refused | H an approved account |
| ApprovalForAll; isApprovedForAll, for one owner alone | here |
| a transfer by the holder | H units move |
| a transfer by an approved operator, and by one no more approved | H an approved account |
| a transfer by a stranger, single or batch | H nobody moves or retires anothers |
| TransferSingle: operator, from, to, id, value; the operator's units stay | here |
| more than is held | H nobody moves or retires more |
| to the zero address, single or batch | H nothing is neither |
| a transfer of zero units: refused (2) | H nothing is neither, H a batch moves whole |
| units of other ids stay as they are | H beside its neighbours |
| a batch: too few amounts, zero among them, the same id twice | H a batch moves whole |
| a batch: too few ids, none, the most, one amount too large, to oneself | here |
| TransferBatch: ids and values in the order given | here |
| scenario 1: an account without code is not asked | here |
| scenario 2: no hook where nothing is minted or moved to a contract | here |
| scenario 3: a contract without the hook | H a contract holds |
| scenario 4: an unknown answer | H a contract holds (zero); here (others) |
| scenario 5: a hook that fails, its reason is kept; only the hook called counts | here |
| scenarios 6, 7: balances and event before the hook; it hears all, data unaltered | here |
| scenario 8: the receiver passes units on from within the hook: refused (3) | H calls back |
| scenario 9: other functions that move units ask, too | here; C, X, I for their own rules |
| mint: from the zero address, in the event and in the hook | here |
| burn: to the zero address | here |
| who holds what follows from the events alone | M every operation |
| ERC-165: ids of ERC-165, ERC-1155 and metadata; not 0xffffffff | H which interfaces |
| ERC-165: within 30,000 gas; not the receiver's id | here |
| metadata: a URI with {id} that leads to a JSON document | H a wallet finds metadata |
| selectors and topics | A those of the standards |

(1) OpenZeppelin 4 refused it, 5 does not; the standard leaves it open. (2) The standard lets it
pass; rule R14 does not. (3) The standard allows to refuse it: a contract can pass units on once it
has them.

Not applicable: the event `URI` (a uri never changes: it follows from the id), announcing an id
without units (an id says itself what it is), minting to a contract's own address, and hybrids with
other standards.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import decode, encode

from commonwatt.chain.abi import contract
from commonwatt.chain.connection import Account, Log, Receipt
from commonwatt.chain.encoding import keccak
from commonwatt.chain.errors import CallReverted, TransactionReverted
from commonwatt.chain.production import Purpose, TokenId
from contracts.ground import NOON, QUARTER, Ground, Meter, account
from contracts.helpers import deploy_source

OWNER, OPERATOR, OTHER = (
    account("member 0"),
    account("an operator"),
    account("another").address_bytes,
)
OWN, BY = OWNER.address_bytes, OPERATOR.address_bytes
NOBODY = bytes(20)
SINGLE, BATCH = bytes.fromhex("f23a6e61"), bytes.fromhex("bc197c81")
BATCH_MAX, DATA_MAX = 64, 1024
DAY = Purpose("bakery", "Market Square 1", "DE", NOON, NOON + 10**6, "bread")

WITNESS = """
# pragma version 0.4.3
interface Certificate:
    def balanceOf(owner: address, id: uint256) -> uint256: view

event One:
    operator: address
    sender: address
    id: uint256
    amount: uint256
    data: Bytes[1024]
    held: uint256

event Several:
    operator: address
    sender: address
    ids: DynArray[uint256, 64]
    amounts: DynArray[uint256, 64]
    data: Bytes[1024]
    held: DynArray[uint256, 64]

one: bytes4
several: bytes4

@deploy
def __init__(one: bytes4, several: bytes4):
    self.one = one
    self.several = several

@external
def run(target: address, data: Bytes[2048]):
    raw_call(target, data)

@external
def onERC1155Received(
    operator: address, sender: address, id: uint256, amount: uint256, data: Bytes[1024]
) -> bytes4:
    assert self.one != empty(bytes4), "witness: no single ones"
    held: uint256 = staticcall Certificate(msg.sender).balanceOf(self, id)
    log One(operator=operator, sender=sender, id=id, amount=amount, data=data, held=held)
    return self.one

@external
def onERC1155BatchReceived(
    operator: address,
    sender: address,
    ids: DynArray[uint256, 64],
    amounts: DynArray[uint256, 64],
    data: Bytes[1024],
) -> bytes4:
    assert self.several != empty(bytes4), "witness: no batches"
    held: DynArray[uint256, 64] = []
    for id: uint256 in ids:
        held.append(staticcall Certificate(msg.sender).balanceOf(self, id))
    log Several(
        operator=operator, sender=sender, ids=ids, amounts=amounts, data=data, held=held
    )
    return self.several
"""
ONE = ["address", "address", "uint256", "uint256", "bytes", "uint256"]
SEVERAL = ["address", "address", "uint256[]", "uint256[]", "bytes", "uint256[]"]
"""What the witness heard, and what it held at that moment."""


@pytest.fixture
def roof(ground: Ground) -> Meter:
    roof = ground.meter(f"roof {ground.clock.now}")
    ground.register(roof)
    return roof


@pytest.fixture
def tokens(ground: Ground, roof: Meter) -> list[TokenId]:
    """400 Wh each of two fresh certificates in the first member's hands."""
    shown = [ground.quarter(roof) for _ in range(2)]
    for each in shown:
        ground.claim(each)
    return [ground.token(each.production) for each in shown]


@pytest.fixture(scope="module")
def witness(ground: Ground) -> Callable[..., bytes]:
    """Puts a contract on the chain that tells what it hears; zero as an answer: it fails."""

    def made(one: bytes = SINGLE, several: bytes = BATCH) -> bytes:
        values = encode(["bytes4", "bytes4"], [one, several])
        return deploy_source(ground.ledger.connection, ground.stranger, WITNESS, values)

    return made


def act(ground: Ground, sender: Account, function: str, *values: object) -> Receipt:
    return ground.send(sender, "certificate", function, *values)


def ask(ground: Ground, function: str, *values: object) -> Any:
    [answer] = ground.ledger._ask("certificate", function, *values)
    return answer


def move_one(
    ground: Ground, sender: Account, receiver: bytes, token: TokenId, wh: int, data: bytes = b""
) -> Receipt:
    return act(ground, sender, "safeTransferFrom", OWN, receiver, token.number, wh, data)


def move_several(
    ground: Ground,
    sender: Account,
    receiver: bytes,
    units: list[tuple[TokenId, int]],
    data: bytes = b"",
) -> Receipt:
    numbers, amounts = [token.number for token, _ in units], [wh for _, wh in units]
    return act(ground, sender, "safeBatchTransferFrom", OWN, receiver, numbers, amounts, data)


def told(log: Log) -> tuple[str, tuple[bytes, ...], tuple[Any, ...]]:
    """An event of the certificates: its name, its three accounts, the rest."""
    [name] = [n for n, topic in contract("Certificate").topics.items() if topic == log.topics[0]]
    types = {
        "TransferSingle": ["uint256", "uint256"],
        "TransferBatch": ["uint256[]", "uint256[]"],
        "ApprovalForAll": ["bool"],
    }
    accounts = tuple(topic[-20:] for topic in log.topics[1:])
    return name, accounts, decode(types[name], log.data)


def heard(log: Log, kind: list[str]) -> tuple[Any, ...]:
    """What the witness heard, accounts as bytes."""
    operator, sender, *rest = decode(kind, log.data)
    return bytes.fromhex(operator[2:]), bytes.fromhex(sender[2:]), *rest


def test_cases_said_to_be_shown_elsewhere_are_shown_there() -> None:
    modules = {"H": "test_holding", "A": "test_artefacts", "M": "test_certificate_model"}
    cases = re.findall(r"\b([HAM]) ([a-z]+(?: [a-z]+)+)", (__doc__ or "").partition("|---|")[2])
    assert len(cases) > 15
    for letter, words in cases:
        source = (Path(__file__).parent / f"{modules[letter]}.py").read_text()
        assert re.search(rf"def test_\w*{words.replace(' ', '_')}", source), (letter, words)


# Reading


def test_balances_come_in_the_order_asked_and_as_often_as_asked(
    ground: Ground, tokens: list[TokenId]
) -> None:
    move_one(ground, OWNER, OTHER, tokens[1], 150)
    one, two = (token.number for token in tokens)
    owners, ids = [OTHER, OWN, OWN, NOBODY, OTHER, OTHER], [two, one, two, one, two, one]
    assert ask(ground, "balanceOfBatch", owners, ids) == (150, 400, 250, 0, 150, 0)
    assert ask(ground, "balanceOf", NOBODY, one) == 0
    assert ask(ground, "balanceOfBatch", [], []) == ()
    most = [OWN] * BATCH_MAX
    assert ask(ground, "balanceOfBatch", most, [one] * BATCH_MAX) == (400,) * BATCH_MAX
    for owners, ids in ((most, [one]), ([OWN], [one, two]), ([], [one]), ([OWN], [])):
        for function in ("balanceOfBatch", "claimedBalanceOfBatch"):
            with pytest.raises(CallReverted, match="certificate: not one owner per id"):
                ask(ground, function, owners, ids)
    with pytest.raises(CallReverted):
        ask(ground, "balanceOfBatch", [*most, OWN], [one] * (BATCH_MAX + 1))


def test_asking_which_interfaces_there_are_is_cheap_and_it_is_no_receiver(ground: Ground) -> None:
    """ERC-165: at most 30,000 gas; certificates are not given to the contract itself."""
    at = "0x" + ground.ledger.addresses.certificate.hex()
    for interface in ("01ffc9a7", "ffffffff", "4e2312e0", "d9b67a26"):
        data = contract("Certificate").data("supportsInterface", bytes.fromhex(interface))
        question = {"to": at, "data": "0x" + data.hex()}
        used = int(ground.ledger.connection.request("eth_estimateGas", question), 16)
        assert used - 21_000 < 30_000
    assert ask(ground, "supportsInterface", bytes.fromhex("4e2312e0")) is False


# Approval


def test_an_approval_is_one_owner_s_and_is_told(ground: Ground, tokens: list[TokenId]) -> None:
    holder = ground.members[1]
    ground.ledger.transfer(OWNER, OWN, holder.address_bytes, tokens[0], 5)
    assert ask(ground, "isApprovedForAll", OWN, BY) is False
    for approved in (True, True, False, False):
        receipt = act(ground, OWNER, "setApprovalForAll", BY, approved)
        assert [told(log) for log in receipt.logs] == [("ApprovalForAll", (OWN, BY), (approved,))]
        assert ask(ground, "isApprovedForAll", OWN, BY) is approved
        assert ask(ground, "isApprovedForAll", BY, OWN) is False
        assert ask(ground, "isApprovedForAll", holder.address_bytes, BY) is False
        with ground.refused("certificate: caller is neither holder nor approved"):
            ground.ledger.transfer(OPERATOR, holder.address_bytes, OTHER, tokens[0], 1)


# Events


@pytest.mark.parametrize("by_operator", [False, True])
def test_a_transfer_is_told_with_all_it_consists_of(
    ground: Ground, tokens: list[TokenId], *, by_operator: bool
) -> None:
    act(ground, OWNER, "setApprovalForAll", BY, True)  # noqa: FBT003
    sender = OPERATOR if by_operator else OWNER
    first, second = tokens
    receipt = move_one(ground, sender, OTHER, first, 70)
    expected = (sender.address_bytes, OWN, OTHER)
    assert [told(log) for log in receipt.logs] == [
        ("TransferSingle", expected, (first.number, 70)),
    ]  # fmt: skip
    units = [(second, 30), (first, 20), (second, 1)]
    receipt = move_several(ground, sender, OTHER, units)
    numbers, amounts = (second.number, first.number, second.number), (30, 20, 1)
    assert [told(log) for log in receipt.logs] == [("TransferBatch", expected, (numbers, amounts))]
    assert (ground.ledger.units(OWN, first), ground.ledger.units(OWN, second)) == (310, 369)
    assert [ground.ledger.units(BY, token) for token in tokens] == [0, 0]
    act(ground, OWNER, "setApprovalForAll", BY, False)  # noqa: FBT003


def test_units_that_begin_or_end_are_told_as_from_or_to_nobody(
    ground: Ground, roof: Meter, tokens: list[TokenId]
) -> None:
    singles = []
    number = tokens[0].number
    ledger = ground.ledger
    issue = ground.claim(ground.quarter(roof))
    retire = ledger.retire(OWNER, OWN, tokens[0], 60, DAY)
    withdraw = ledger.withdraw_units(ground.issuer, OWN, tokens[0], 50, "counted twice")
    message = keccak(number.to_bytes(32))
    export = ledger.export_units(
        OWNER, OWN, tokens[0], 40, destination=b"\x09" * 32, message=message
    )
    restore = ledger.restore(ground.issuer, OWN, tokens[0], 40, message)
    reinstate = ledger.reinstate(ground.issuer, OWN, tokens[0], 60, "the bread was withdrawn")
    for receipt in (issue, retire, withdraw, export, restore, reinstate):
        topic = contract("Certificate").topics["TransferSingle"]
        [log] = [log for log in receipt.logs if log.topics[0] == topic]
        singles.append(told(log)[1:])
    minted = TokenId(tokens[0].meter, ground.clock.now - QUARTER, QUARTER).number
    issuer = ground.issuer.address_bytes
    assert singles == [
        ((ground.stranger.address_bytes, NOBODY, OWN), (minted, 400)),
        ((OWN, OWN, NOBODY), (number, 60)),
        ((issuer, OWN, NOBODY), (number, 50)),
        ((OWN, OWN, NOBODY), (number, 40)),
        ((issuer, NOBODY, OWN), (number, 40)),
        ((issuer, NOBODY, OWN), (number, 60)),
    ]
    assert ledger.units(OWN, tokens[0]) == 350


# Batches


def test_a_batch_may_be_empty_or_as_long_as_a_batch_can_be(
    ground: Ground, tokens: list[TokenId]
) -> None:
    receipt = move_several(ground, OWNER, OTHER, [])
    assert [told(log) for log in receipt.logs] == [
        ("TransferBatch", (OWN, OWN, OTHER), ((), ())),
    ]  # fmt: skip
    move_several(ground, OWNER, OTHER, [(tokens[0], 1)] * BATCH_MAX)
    assert ground.ledger.units(OTHER, tokens[0]) == BATCH_MAX
    too_many = [(tokens[0], 1)] * (BATCH_MAX + 1)
    before = ground.state()
    with pytest.raises(TransactionReverted):
        move_several(ground, OWNER, OTHER, too_many)
    assert ground.state() == before


def test_a_batch_with_more_amounts_than_ids_is_refused(
    ground: Ground, tokens: list[TokenId]
) -> None:
    for ids, amounts in (([], [1]), ([tokens[0].number], [1, 1])):
        with ground.refused("certificate: not one amount per id"):
            act(ground, OWNER, "safeBatchTransferFrom", OWN, OTHER, ids, amounts, b"")


@pytest.mark.parametrize("short", [0, 1, 2])
def test_one_amount_too_large_stops_a_batch_wherever_it_stands(
    ground: Ground, tokens: list[TokenId], short: int
) -> None:
    units = [(tokens[0], 300), (tokens[1], 400), (tokens[0], 100)]
    units[short] = (units[short][0], units[short][1] + 1)
    with ground.refused("certificate: balance too small"):
        move_several(ground, OWNER, OTHER, units)


def test_a_batch_to_oneself_changes_nothing(ground: Ground, tokens: list[TokenId]) -> None:
    move_several(ground, OWNER, OWN, [(tokens[0], 400), (tokens[1], 3), (tokens[0], 400)])
    assert [ground.ledger.units(OWN, token) for token in tokens] == [400, 400]


# Contracts that receive


@pytest.mark.parametrize("data", [b"", b"\xf0\x0d\xd0\x0d", b"\x00" * 33, bytes(range(256)) * 4])
def test_a_receiving_contract_hears_what_moved_after_it_has_moved(
    ground: Ground, tokens: list[TokenId], witness: Callable[..., bytes], data: bytes
) -> None:
    act(ground, OWNER, "setApprovalForAll", BY, True)  # noqa: FBT003
    at, (first, second) = witness(), tokens
    move_one(ground, OWNER, at, first, 10)
    moved, hook = move_one(ground, OPERATOR, at, first, 70, data).logs
    assert told(moved) == ("TransferSingle", (BY, OWN, at), (first.number, 70))
    assert heard(hook, ONE) == (BY, OWN, first.number, 70, data, 80)
    units = [(second, 30), (first, 20), (second, 1)]
    moved, hook = move_several(ground, OPERATOR, at, units, data).logs
    numbers, amounts = (second.number, first.number, second.number), (30, 20, 1)
    assert told(moved) == ("TransferBatch", (BY, OWN, at), (numbers, amounts))
    # One call for all of them, after the last one.
    assert heard(hook, SEVERAL) == (BY, OWN, numbers, amounts, data, (31, 100, 31))
    act(ground, OWNER, "setApprovalForAll", BY, False)  # noqa: FBT003


def test_words_for_the_receiver_have_a_limit(
    ground: Ground, tokens: list[TokenId], witness: Callable[..., bytes]
) -> None:
    at, before = witness(), ground.state()
    del before[b"coins"]
    for receiver in (at, OTHER):
        for send in (
            lambda to: move_one(ground, OWNER, to, tokens[0], 1, bytes(DATA_MAX + 1)),
            lambda to: move_several(ground, OWNER, to, [(tokens[0], 1)], bytes(DATA_MAX + 1)),
        ):
            with pytest.raises(TransactionReverted):
                send(receiver)
    after = ground.state()
    del after[b"coins"]
    assert after == before


@pytest.mark.parametrize("answer", [BATCH, b"\xca\xfe\xbe\xef", b"\xff" * 4])
def test_only_the_hook_s_own_magic_value_is_taken(
    ground: Ground, tokens: list[TokenId], witness: Callable[..., bytes], answer: bytes
) -> None:
    wrong = witness(one=answer, several=SINGLE if answer == BATCH else answer)
    with ground.refused("certificate: receiver refused"):
        move_one(ground, OWNER, wrong, tokens[0], 1)
    with ground.refused("certificate: receiver refused"):
        move_several(ground, OWNER, wrong, [(tokens[0], 1)])
    with ground.refused("certificate: receiver refused"):
        move_several(ground, OWNER, wrong, [])


def test_a_hook_that_fails_says_why_and_only_the_one_that_is_called_counts(
    ground: Ground, tokens: list[TokenId], witness: Callable[..., bytes]
) -> None:
    no_single, no_batch = witness(one=bytes(4)), witness(several=bytes(4))
    with ground.refused("witness: no single ones"):
        move_one(ground, OWNER, no_single, tokens[0], 1)
    with ground.refused("witness: no batches"):
        move_several(ground, OWNER, no_batch, [(tokens[0], 1), (tokens[1], 1)])
    move_several(ground, OWNER, no_single, [(tokens[0], 1), (tokens[1], 2)])
    move_one(ground, OWNER, no_batch, tokens[0], 3)
    assert [ground.ledger.units(no_single, token) for token in tokens] == [1, 2]
    assert [ground.ledger.units(no_batch, token) for token in tokens] == [3, 0]


def test_every_road_to_a_contract_asks_it_with_the_account_they_come_from(
    ground: Ground, tokens: list[TokenId], witness: Callable[..., bytes]
) -> None:
    """Claims, runs of claims, direct issues, escrows, giving back: none of them in the standard."""
    ledger, at = ground.ledger, witness()
    stranger, issuer = ground.stranger.address_bytes, ground.issuer.address_bytes
    topics = contract("Certificate").topics
    ledger.join(ground.operator, [at])
    member = ledger.members() - 1
    ground.members.append(ground.stranger)
    own_roof = ground.meter(f"a contract's roof {ground.clock.now}", member=member)
    ground.register(own_roof)
    one, two, three = (ground.quarter(own_roof) for _ in range(3))
    token, *later = (ground.token(shown.production) for shown in (one, two, three))

    def hook(receipt: Receipt, kind: list[str]) -> tuple[Any, ...]:
        *_, moved, last = receipt.logs
        assert moved.topics[0] in (topics["TransferSingle"], topics["TransferBatch"])
        return heard(last, kind)

    assert hook(ground.claim(one), ONE) == (stranger, NOBODY, token.number, 400, b"", 400)
    run = [two.production, three.production]
    claimed = ledger.claim_run(ground.stranger, two.previous, run, three.signature)
    numbers = tuple(each.number for each in later)
    assert hook(claimed, SEVERAL) == (stranger, NOBODY, numbers, (400, 400), b"", (400, 400))

    plant = ground.meter(f"a contract's plant {ground.clock.now}", member=member, direct=True)
    ground.register(plant)
    ledger.start_direct(ground.stranger, plant.last.record)
    issued = ground.issue(plant)
    made = TokenId(plant.key.meter, ground.clock.now - QUARTER, QUARTER).number
    assert hook(issued, ONE) == (stranger, NOBODY, made, 1000, b"", 1000)

    ledger.reserve(OWNER, OWN, 7, tokens[0], 25)
    released = ledger.release(OWNER, OWN, 7, tokens[0], 25, receiver=at)
    escrow = ledger.escrow(OWN, OWN, 7)
    assert hook(released, ONE) == (OWN, escrow, tokens[0].number, 25, b"", 25)

    retiring = contract("Certificate").data("retire", at, token.number, 100, DAY.encode())
    assert silent(by_contract(ground, at, retiring), at)
    message = keccak(b"to elsewhere" + token.number.to_bytes(32))
    exporting = contract("Certificate").data(
        "export_units", at, token.number, 50, b"\x09" * 32, message
    )
    assert silent(by_contract(ground, at, exporting), at)
    reserving = contract("Certificate").data("reserve", at, 1, token.number, 10)
    assert silent(by_contract(ground, at, reserving), at)
    assert silent(ledger.withdraw_units(ground.issuer, at, token, 40, "counted twice"), at)

    back = ledger.restore(ground.issuer, at, token, 50, message)
    assert hook(back, ONE) == (issuer, NOBODY, token.number, 50, b"", 250)
    again = ledger.reinstate(ground.issuer, at, token, 100, "the bread was withdrawn")
    assert hook(again, ONE) == (issuer, NOBODY, token.number, 100, b"", 350)


def by_contract(ground: Ground, at: bytes, data: bytes) -> Receipt:
    """Something done in a contract's name."""
    run = keccak(b"run(address,bytes)")[:4]
    words = encode(["address", "bytes"], [ground.ledger.addresses.certificate, data])
    return ground.ledger.connection.send(ground.stranger, "0x" + at.hex(), run + words)


def silent(receipt: Receipt, at: bytes) -> bool:
    """Whether a contract was not asked anything."""
    assert receipt.logs
    return all(log.address != "0x" + at.hex() for log in receipt.logs)


def test_an_account_without_code_is_asked_nothing_and_gets_its_units(
    ground: Ground, tokens: list[TokenId]
) -> None:
    receipt = move_one(ground, OWNER, OTHER, tokens[0], 1, b"for nobody to read")
    assert len(receipt.logs) == 1
    assert ask(ground, "balanceOf", OTHER, tokens[0].number) == 1
