"""The sun in a battery: put in with its certificates, given out with new ones, less losses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.certificate.home import LOTS_MAX, Home, Lot, Storage
from commonwatt.certificate.issue import Certified, certify
from commonwatt.errors import InvariantBroken
from commonwatt.meter.record import Quality, SignedRecord
from effort import effort
from street import Street

PERMILLE = 900


def sunny(**options: int) -> Street:
    """A home with a roof and a battery, and a neighbour."""
    usual = {"members": 2, "producers": 1, "batteries": 1, "storage_permille": PERMILLE}
    return Street(**(usual | options))


def closed(street: Street, batch: list[SignedRecord]) -> Certified:
    return street.close(batch).certified


def lots(found: Certified, street: Street, battery: int = 0) -> list[int]:
    return [lot.wh for lot in found.lots.get(street.stores[battery].key.meter, ())]


def noon(street: Street, charged: int = 400) -> Certified:
    """1,000 Wh made: some into the battery, the rest given, 300 Wh of it to the neighbour."""
    given = 1_000 - charged
    return closed(street, street.measure([0, 300], [given, 0], made=[1_000], stored=[charged]))


def test_what_the_roof_puts_into_the_battery_is_issued_and_stored_at_once() -> None:
    street = sunny()
    found = noon(street)
    (certificate,) = found.certificates
    assert certificate.put == ((street.stores[0].key.meter, 400),)
    assert (certificate.issued_wh, certificate.retired_wh, certificate.free_wh) == (1_000, 300, 300)
    assert lots(found, street) == [360]


def test_in_the_evening_it_is_sold_green_less_losses() -> None:
    street = sunny()
    noon(street)
    found = closed(street, street.measure([0, 500], [360, 0], made=[0], stored=[-360]))
    (certificate,) = found.certificates
    assert certificate.meter == street.stores[0].key.meter
    assert (certificate.issued_wh, certificate.retired_wh) == (360, 360)
    assert found.green_wh == (0, 360)
    assert lots(found, street) == []


def test_what_comes_out_beyond_what_went_in_with_certificates_is_never_green() -> None:
    street = sunny()
    noon(street)
    found = closed(street, street.measure([0, 0], [700, 0], made=[0], stored=[-700]))
    assert [c.issued_wh for c in found.certificates] == [360]
    again = closed(street, street.measure([0, 0], [700, 0], made=[0], stored=[-700]))
    assert again.certificates == ()


def test_what_the_home_uses_itself_is_drawn_and_never_issued() -> None:
    street = sunny()
    noon(street)
    found = closed(street, street.measure([0, 0], [0, 0], made=[0], stored=[-300]))
    assert found.certificates == ()
    assert lots(found, street) == [60]
    part = closed(street, street.measure([0, 0], [40, 0], made=[0], stored=[-60]))
    assert [c.issued_wh for c in part.certificates] == [40]


def test_energy_without_certificates_leaves_the_home_first() -> None:
    street = sunny()
    noon(street)
    found = closed(street, street.measure([0, 0], [150, 0], made=[0], stored=[-460]))
    assert [c.issued_wh for c in found.certificates] == [50]
    assert lots(found, street) == []


def test_what_came_from_the_grid_went_into_the_battery_first() -> None:
    street = sunny()
    batch = street.measure([250, 0], [0, 0], made=[1_000], stored=[400])
    found = closed(street, batch)
    assert [c.stored_wh for c in found.certificates] == [150]
    assert lots(found, street) == [135]
    night = closed(street, street.measure([500, 0], [0, 0], made=[0], stored=[400]))
    assert night.certificates == ()
    assert lots(night, street) == [135]


def test_the_oldest_charge_comes_out_first() -> None:
    street = sunny()
    noon(street)
    found = noon(street, charged=100)
    assert lots(found, street) == [360, 90]
    found = closed(street, street.measure([0, 0], [370, 0], made=[0], stored=[-370]))
    assert lots(found, street) == [80]


def test_a_charge_does_not_come_out_in_its_own_interval() -> None:
    street = sunny()
    record = street.stores[0].measure(street.interval.end, 400_000, 400_000)
    batch = [*street.measure([0, 0], [900, 0], made=[1_000]), record]
    found = closed(street, batch)
    assert [c.issued_wh - c.stored_wh for c in found.certificates] == [500]
    # What came out might have gone in again, so nothing is known to be the sun's.
    assert lots(found, street) == []


@pytest.mark.parametrize("quality", [Quality.ESTIMATED, Quality.METER_ERROR])
def test_a_battery_whose_record_is_not_sound_is_drawn_but_neither_charged_nor_green(
    quality: Quality,
) -> None:
    street = sunny()
    noon(street)
    end, store = street.interval.end, street.stores[0]
    doubtful = store.measure(end, 0, 200_000, quality=Quality.MEASURED | quality)
    found = closed(street, [*street.measure([0, 0], [200, 0], made=[0]), doubtful])
    assert found.certificates == ()
    assert lots(found, street) == [160]
    end = street.interval.end
    doubtful = store.measure(end, 200_000, 0, quality=Quality.MEASURED | quality)
    found = closed(street, [*street.measure([0, 0], [0, 0], made=[200]), doubtful])
    assert lots(found, street) == [160]


def test_after_a_gap_all_that_came_out_meanwhile_is_drawn() -> None:
    street = sunny()
    noon(street)
    street.close(street.measure([0, 0], [100, 0], made=[0], stored=[-100])[:3])
    found = closed(street, street.measure([0, 0], [100, 0], made=[0], stored=[-100]))
    assert found.certificates == ()
    assert lots(found, street) == [160]


def test_nothing_is_stored_while_the_grid_meter_is_silent_or_has_a_gap() -> None:
    street = sunny()
    silent = closed(street, street.measure([0, 0], [0, 0], made=[400], stored=[400])[1:])
    assert lots(silent, street) == []
    gap = closed(street, street.measure([0, 0], [0, 0], made=[400], stored=[400]))
    assert lots(gap, street) == []


def test_without_a_published_efficiency_no_battery_keeps_certificates() -> None:
    street = sunny(storage_permille=0)
    found = noon(street)
    assert [(c.issued_wh, c.stored_wh) for c in found.certificates] == [(600, 0)]
    assert lots(found, street) == []


def test_a_battery_remembers_a_month_of_charges_and_forgets_the_oldest() -> None:
    street = sunny()
    meter = street.stores[0].key.meter
    full = {meter: tuple(Lot(start, 1) for start in range(LOTS_MAX))}
    inputs = street.inputs(street.measure([0, 0], [0, 0], made=[400], stored=[400]))
    positions = street.conclude(inputs).settled.positions
    by_meter = street.community.by_meter
    found = certify(inputs.accepted, by_meter, positions, Storage(full, PERMILLE))
    kept = found.lots[meter]
    assert len(kept) == LOTS_MAX
    assert (kept[0].start, kept[-1].wh) == (1, 360)


def test_what_comes_out_of_a_battery_is_not_believed_but_checked(monkeypatch) -> None:
    street = sunny()
    noon(street)
    conclude = Home.conclude

    def generous(self, given_wh, imported_wh, storage, lots):
        found = conclude(self, given_wh, imported_wh, storage, lots)
        lots[street.stores[0].key.meter] = (Lot(0, 10**6),)
        return found

    monkeypatch.setattr(Home, "conclude", generous)
    with pytest.raises(InvariantBroken, match="never more out of a battery than went in"):
        noon(street)


amounts = st.one_of(st.just(0), st.integers(0, 40), st.integers(0, 3_000))
intervals = st.lists(
    st.tuples(
        st.lists(amounts, min_size=3, max_size=3),
        st.lists(amounts, min_size=3, max_size=3),
        st.lists(amounts, min_size=4, max_size=4),
        st.lists(st.integers(-3_000, 3_000), min_size=2, max_size=2),
        st.lists(st.integers(0, 8), max_size=2),
    ),
    min_size=1,
    max_size=8,
)


@given(intervals, st.integers(1, 1_000))
@effort(2)
def test_never_more_comes_out_of_a_battery_than_went_in_less_losses(days, permille: int) -> None:
    street = Street(
        members=3, producers=2, roofs=2, batteries=2, storage_permille=permille, balance=10**12
    )
    put = dict.fromkeys((meter.key.meter for meter in street.stores), 0)
    out = dict(put)
    for taken, given_back, made, stored, lost in days:
        batch = street.measure(taken, given_back, made, stored)
        statement = street.close([s for n, s in enumerate(batch) if n not in lost])
        found = statement.certified
        for certificate in found.certificates:
            if certificate.meter in out:
                out[certificate.meter] += certificate.issued_wh
            for store, wh in certificate.put:
                put[store] += wh
        for meter, wh in put.items():
            left = sum(lot.wh for lot in found.lots.get(meter, ()))
            assert (out[meter] + left) * 1_000 <= wh * permille
        header = statement.header
        assert header.issued_wh == header.retired_wh + header.free_wh
