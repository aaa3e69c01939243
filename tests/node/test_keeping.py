"""What the database keeps of an interval's inputs reads back as it was, shares and limits too."""

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from commonwatt.market.book import Limits, Tariff
from commonwatt.market.settings import MarketSettings, MemberSettings
from commonwatt.node.folder import Publisher
from commonwatt.node.keeping import keep_inputs, kept_inputs
from commonwatt.node.pipeline import Terms
from commonwatt.statement.close import Inputs
from node.lanes import LanesInMemory, NodeFile, energy_of, node_over
from street import EURO, MIDSUMMER_NOON, TARIFF, Street

amounts = st.integers(0, 2**40 - 1)
prices = st.integers(0, 10**9)
HALF = 5 * 10**8
MARKET = MarketSettings(
    key="organiser", members=(MemberSettings(1, share="0.2"), MemberSettings(2, share="0.2"))
)


@given(
    st.lists(st.builds(Limits, prices, prices), max_size=4),
    st.lists(st.integers(0, 10**9), max_size=4),
    st.lists(amounts, max_size=4),
    st.integers(0, 2**63),
    prices,
    st.binary(min_size=32, max_size=32),
)
def test_inputs_are_read_as_they_were_kept(limits, shares, balances, supplier, fee, key) -> None:
    inputs = Inputs(
        interval=MIDSUMMER_NOON,
        tariff=Tariff(10**9, 0, fee, fee),
        accepted=(),
        late=(),
        refused=(),
        limits=tuple(limits),
        shares=tuple(shares),
        flows=7,
        balances=tuple(balances),
        supplier=supplier,
        salt_key=key,
    )
    assert kept_inputs(keep_inputs(inputs), inputs.interval, (), (), ()) == inputs
    other = replace(inputs, shares=(*inputs.shares, 1))
    assert keep_inputs(other) != keep_inputs(inputs)


def test_an_interval_with_shares_of_its_own_is_concluded_again_after_a_restart(
    tmp_path: Path,
) -> None:
    street = Street(market=MARKET)
    signed = []
    for index in range(3):
        signed.append(street.measure(*energy_of(index)))
        street.interval = street.interval.next
    lanes, database = LanesInMemory(3, 10 * EURO), NodeFile(tmp_path / "node.sqlite")
    node = node_over(street, tmp_path, lanes, database)
    node.catch_up()
    bought = []
    for batch, shares in zip(signed, ((), (0, HALF, 0), ()), strict=True):
        node.receive(batch)
        closed = node.close(Terms(TARIFF, shares=shares))
        bought.append([sum(t.wh for t in closed.statement.trades if t.buyer == n) for n in (1, 2)])
    assert bought == [[140, 140], [301, 0], [140, 140]]
    database.close()
    database = NodeFile(tmp_path / "node.sqlite")
    again = node_over(street, tmp_path, lanes, database, Publisher(tmp_path / "again"))
    assert again.catch_up() == 3
    database.close()
