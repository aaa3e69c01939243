"""What an audit reads from the chain: everything of one community and nothing of another."""

from dataclasses import replace

from commonwatt.audit.facts import GRID_LANE, SUPPLIER_LANE, AnchoredClose, Claim, Flow, Retirement
from commonwatt.chain.abi import WORD, contract, signed_word, word
from commonwatt.chain.ledger import LANE_BIAS, LANE_BITS, LANES_PER_WORD
from commonwatt.chain.production import Purpose
from contracts.ground import EURO, NOON, QUARTER, Ground, fresh_ground

DAY = Purpose("household", "here", "DE", NOON, NOON + 10**6, "own use")


def _lively() -> tuple[Ground, Ground]:
    """Two communities on one chain, registry, token and certificate contract."""
    first = fresh_ground(3)
    second = Ground.new(first)
    second.join(2)
    for ground in (first, second):
        meter = ground.meter(f"roof of {ground.ledger.addresses.settlement.hex()}")
        ground.register(meter)
        shown = [ground.quarter(meter) for _ in range(3)]
        ground.claim(shown[0])
        run = [each.production for each in shown[1:]]
        ground.ledger.claim_run(ground.stranger, shown[1].previous, run, shown[2].signature)
        owner, token = ground.members[0], ground.token(shown[1].production)
        ground.ledger.retire(owner, owner.address_bytes, token, 150, DAY)
        ground.fund(1, 12 * EURO)
        ground.fund(GRID_LANE, 5)
    return first, second


def test_facts_are_those_of_one_community() -> None:
    for ground in _lively():
        facts, ledger = ground.ledger.facts(), ground.ledger
        owner = ground.members[0].address_bytes
        assert facts.accounts == tuple(member.address_bytes for member in ground.members)
        assert facts.meters == tuple(meter.registered for meter in ground.meters)
        assert (facts.roll, facts.balances) == (ledger.roll(), ledger.balances())
        assert (facts.supplier, facts.grid_operator) == (ledger.balance(SUPPLIER_LANE), 5)
        assert facts.flows[-1] == Flow(ledger.flows(), GRID_LANE, ground.issuer.address_bytes, 5)
        assert [flow.number for flow in facts.flows] == list(range(1, ledger.flows() + 1))
        name, starts = ground.meters[0].key.meter, [c.header.start for c in ground.closed[-3:]]
        assert facts.claims == tuple(Claim(name, start, QUARTER, owner, 400) for start in starts)
        assert facts.retirements == (Retirement(name, starts[1], QUARTER, owner, 150),)
        assert [(c.start, c.duration, c.anchor) for c in facts.closes] == [
            (closed.header.start, QUARTER, closed.header.anchor) for closed in ground.closed
        ]
        assert sum(facts.wallets.values()) == facts.token_supply == ledger.token_supply()
        held = ledger.wallet(ledger.addresses.settlement)
        assert facts.wallets[ledger.addresses.settlement] == held
        assert held == sum(facts.balances) + facts.supplier + facts.grid_operator


def test_a_close_is_found_again_by_its_transaction_and_block() -> None:
    ground = fresh_ground(2)
    ground.clock.now += 5 * QUARTER + 17
    start = ground.clock.now - 17 - QUARTER
    header = ground.header([1, -1], start=start)
    receipt = ground.send_close(header, [1, -1])
    assert ground.ledger.facts().closes[-1] == AnchoredClose(
        start, QUARTER, header.anchor, receipt.tx_hash, receipt.block_number, ground.clock.now
    )


def test_events_alone_rebuild_every_lane() -> None:
    """An outsider who only has the settlement's events knows what everybody's lane holds."""
    ground, _ = _lively()
    ground.close(deltas=[-500, 300, 150], supplier_in=20, supplier_out=1, grid_in=31)
    settlement = contract("Settlement")
    lanes = dict.fromkeys([*range(len(ground.members)), SUPPLIER_LANE, GRID_LANE], 0)
    for log in ground.ledger.connection.logs("0x" + ground.ledger.addresses.settlement.hex()):
        if log.topics[0] == settlement.topics["Moved"]:
            lanes[int.from_bytes(log.topics[2])] += signed_word(log.data, 0)
        elif log.topics[0] == settlement.topics["Closed"]:
            lanes[SUPPLIER_LANE] += signed_word(log.data, 3)
            lanes[GRID_LANE] += word(log.data, 4)
            size = word(log.data, 6) // WORD
            for number, lane in enumerate(range(LANES_PER_WORD * size)):
                packed = word(log.data, 7 + number // LANES_PER_WORD)
                part = packed >> LANE_BITS * (number % LANES_PER_WORD) & 2**LANE_BITS - 1
                lanes[lane] = lanes.get(lane, 0) + part - LANE_BIAS
    held = ground.ledger.balances()
    for member, balance in enumerate(held):
        assert lanes[member] == balance
    assert lanes[SUPPLIER_LANE] == ground.ledger.balance(SUPPLIER_LANE)
    assert lanes[GRID_LANE] == ground.ledger.balance(GRID_LANE) == 36
    assert not any(lanes[lane] for lane in range(len(held), LANES_PER_WORD))


def test_an_unknown_certificate_contract_has_no_claims() -> None:
    ground, beside = _lively()
    mixed = replace(ground.ledger.addresses, certificate=beside.ledger.addresses.token)
    assert type(ground.ledger)(ground.ledger.connection, mixed).facts().claims == ()
