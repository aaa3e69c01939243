"""EnergyTag's names: out and in again without loss, and nothing said twice or in part."""

import json
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from certificate_book import (
    BATTERY,
    FORGER,
    ISSUER,
    KITCHEN,
    LIFETIME_S,
    NEIGHBOUR,
    NOON,
    PRODUCER,
    QUARTER_S,
    ROOF,
    LivedBook,
)
from commonwatt.certificate import actions
from commonwatt.certificate.bundle import Bundle, Status
from commonwatt.certificate.energytag import (
    COMMUNITY,
    EXPIRED,
    STATUS_WORDS,
    BundleDocument,
    DocumentUnusable,
    IssuerFacts,
    bundle_document,
    bundle_hash,
    encode,
    energy_source,
    metadata_of,
    read_bundle,
    statuses_of,
)
from commonwatt.certificate.energytag_actions import (
    BUNDLES_MAX,
    ActionDocument,
    Terms,
    Translated,
    action_of,
    document_of,
    read_action,
)
from commonwatt.certificate.refusal import ActionRefused
from commonwatt.errors import InputError

THEIR_WORDS = {
    "Active", "Cancelled", "Claimed", "Expired", "Withdrawn", "Locked", "Reserved", "Bundle Split",
}  # fmt: skip
THEIR_NAMES = {
    "issuance_id", "hash", "certificate_bundle_status", "account_id", "metadata_id",
    "certificate_bundle_id_range_start", "certificate_bundle_id_range_end", "bundle_quantity",
    "beneficiary", "energy_carrier", "energy_source", "face_value",
    "issuance_post_energy_carrier_conversion", "emissions_factor_production_device",
    "emissions_factor_source", "device_id", "production_starting_interval",
    "production_ending_interval", "expiry_datestamp", "is_storage", "sdr_allocation_id",
    "storage_efficiency_factor",
}  # fmt: skip
THEIR_METADATA = {
    "country_of_issuance", "connected_grid_identification", "issuing_body", "legal_status",
    "issuance_purpose", "support_received", "quality_scheme_reference", "dissemination_level",
    "issue_market_zone",
}  # fmt: skip
FACTS = IssuerFacts("DE", "50Hertz", "issuer of the district", issuance_purpose="Disclosure")
TERMS = Terms(purpose="disclosure", reservation_s=3_600)
NOW = NOON + QUARTER_S


def document_in(lived: LivedBook, bundle: Bundle, now: int = NOW) -> BundleDocument:
    return bundle_document(lived.book.state, bundle, lived.book.scheme, FACTS, now)


def wanted(lived: LivedBook, **fields: object) -> Translated | actions.Together:
    """What a producer's action document is translated to; `fields` as a client would send them."""
    sent = {"source_id": PRODUCER.hex(), "user_id": PRODUCER.hex()} | fields
    return action_of(read_action(json.dumps(sent).encode()), lived.book.state, TERMS, NOW)


def test_every_name_of_a_bundle_is_theirs() -> None:
    assert set(BundleDocument.__struct_fields__) == THEIR_NAMES | {"id"}
    lived = LivedBook()
    metadata = metadata_of(lived.book.state.devices[ROOF], FACTS)
    assert set(json.loads(encode(metadata))) == THEIR_METADATA
    assert metadata.issue_market_zone == "DE-LU"
    assert document_in(lived, lived.issue(5)).metadata_id == metadata.metadata_id


def test_every_status_has_one_of_their_words_and_every_word_leads_back() -> None:
    assert set(STATUS_WORDS) == set(Status)
    assert {*STATUS_WORDS.values(), EXPIRED} == THEIR_WORDS
    for status, word in STATUS_WORDS.items():
        assert status in statuses_of(word)
    assert statuses_of(EXPIRED) == {Status.ACTIVE, Status.RESERVED}
    with pytest.raises(DocumentUnusable, match="use one of Active, Reserved"):
        statuses_of("active")


def test_a_bundle_is_told_in_their_names() -> None:
    lived = LivedBook()
    told = json.loads(encode(document_in(lived, lived.issue(1_000))))
    assert told["issuance_id"] == f"{ROOF.hex()}-2016-06-21T12:00:00Z"
    assert told["production_ending_interval"] == "2016-06-21T12:15:00Z"
    assert told["expiry_datestamp"] == "2016-08-20T12:15:00Z"
    assert (told["certificate_bundle_id_range_start"], told["bundle_quantity"]) == (0, 1_000)
    assert told["certificate_bundle_id_range_end"] == 999
    assert (told["energy_source"], told["face_value"]) == ("solar_pv", 1)
    assert (told["is_storage"], told["sdr_allocation_id"]) == (False, None)


def test_expired_follows_from_the_time_and_only_for_units_not_used() -> None:
    lived = LivedBook()
    bundle, end = lived.issue(10), NOON + QUARTER_S + LIFETIME_S
    used, kept = lived.do(PRODUCER, actions.Retire(bundle.number, 4, NEIGHBOUR.hex(), "heat"))[0], 2
    assert document_in(
        lived, lived.book.state.bundles[kept], end - 1
    ).certificate_bundle_status == ("Active")
    assert document_in(lived, lived.book.state.bundles[kept], end).certificate_bundle_status == (
        EXPIRED
    )
    assert document_in(lived, used, end).certificate_bundle_status == "Cancelled"
    assert document_in(lived, used, end).beneficiary == NEIGHBOUR.hex()
    everlasting = LivedBook(lifetime_s=0)
    told = document_in(everlasting, everlasting.issue(10), 2**36)
    assert (told.certificate_bundle_status, told.expiry_datestamp) == ("Active", None)


def test_the_producer_is_not_named_for_what_the_neighbours_used_up() -> None:
    lived = LivedBook()
    lived.issue(10, retired_wh=6)
    retired, free = (document_in(lived, b) for b in lived.book.state.bundles.values())
    assert (retired.certificate_bundle_status, retired.beneficiary) == ("Cancelled", COMMUNITY)
    assert (free.certificate_bundle_status, free.beneficiary) == ("Active", None)


def test_what_a_battery_gave_names_its_discharge_and_its_efficiency() -> None:
    lived = LivedBook()
    bundle = lived.issue(1_000)
    lived.do(ISSUER, actions.Charge(BATTERY.hex(), NOON, QUARTER_S, 1_000))
    store = actions.Store(bundle.number, 1_000, BATTERY.hex(), NOON, QUARTER_S)
    (stored,) = lived.do(PRODUCER, store)
    later = NOON + QUARTER_S
    give = actions.Discharge(BATTERY.hex(), later, QUARTER_S, 2_000, 2_000, 0, "6d" * 32)
    (given_back,) = lived.do(ISSUER, give, later + QUARTER_S)
    text = encode(document_in(lived, given_back))
    assert b'"storage_efficiency_factor":0.87' in text
    told = read_bundle(text)
    assert (told.bundle_quantity, told.is_storage) == (870, True)
    assert told.energy_source == energy_source(lived.book.state.devices[BATTERY])
    assert told.sdr_allocation_id == told.issuance_id
    assert told.storage_efficiency_factor == Decimal("0.87")
    assert document_in(lived, stored).certificate_bundle_status == "Cancelled"


@given(st.integers(1, 100_000), st.lists(st.integers(1, 100_000), max_size=6))
def test_bundles_come_back_half_open_and_each_hash_is_only_its_own(
    wh: int, cuts: list[int]
) -> None:
    lived = LivedBook()
    bundle = lived.issue(wh)
    for cut in cuts:
        part = min(cut, bundle.wh)
        lived.do(PRODUCER, actions.Transfer(bundle.number, part, NEIGHBOUR.hex()))
        rest = [b for b in lived.book.state.bundles.values() if b.status is Status.ACTIVE]
        mine = [b for b in rest if b.holder == PRODUCER]
        if not mine:
            break
        (bundle,) = mine
    bundles = lived.book.state.bundles.values()
    told = [read_bundle(encode(document_in(lived, one))) for one in bundles]
    assert [d.units for d in told] == [(b.origin, b.first, b.end) for b in bundles]
    assert len({d.hash for d in told}) == len(told)
    for one, document in zip(bundles, told, strict=True):
        parent = "" if one.parent is None else told[one.parent].hash
        assert document.hash == bundle_hash(document, parent)


def test_a_hash_stays_whatever_becomes_of_the_bundle() -> None:
    lived = LivedBook()
    bundle = lived.issue(10)
    before = document_in(lived, bundle)
    lived.do(PRODUCER, actions.Transfer(bundle.number, 10, NEIGHBOUR.hex()))
    after = document_in(lived, lived.book.state.bundles[bundle.number])
    assert before.account_id != after.account_id
    assert before.hash == after.hash


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("bundle_quantity", 11),
        ("certificate_bundle_id_range_end", 10),
        ("certificate_bundle_id_range_start", -1),
        ("certificate_bundle_status", "Burnt"),
        ("face_value", 1_000),
        ("issuance_id", "7-2016-06-21T12:00:00Z"),
        ("device_id", "A1" * 20),
        ("production_starting_interval", "2016-06-21T12:00:00"),
        ("production_ending_interval", "2016-06-21T12:14:59Z"),
        ("is_storage", 1),
        ("bundle_quantity", 10.5),
        ("colour", "green"),
        ("id", -1),
    ],
)
def test_a_bundle_that_contradicts_itself_is_refused_on_one_line(field: str, value: object) -> None:
    lived = LivedBook()
    told = json.loads(encode(document_in(lived, lived.issue(10))))
    with pytest.raises(DocumentUnusable) as refusal:
        read_bundle(json.dumps(told | {field: value}).encode())
    assert "\n" not in str(refusal.value)


@given(st.binary(max_size=60))
def test_nothing_unreadable_is_taken_for_a_document(text: bytes) -> None:
    for read in (read_bundle, read_action):
        with pytest.raises(DocumentUnusable):
            read(text)


ACCOUNTS = st.sampled_from([a.hex() for a in (PRODUCER, NEIGHBOUR, FORGER)])
AMOUNTS = st.integers(1, 500)
SAID = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(str.strip)


@given(
    st.one_of(
        st.builds(actions.Transfer, st.just(0), AMOUNTS, ACCOUNTS),
        st.builds(actions.Reserve, st.just(0), AMOUNTS, ACCOUNTS, st.integers(0, 2**36)),
        st.builds(actions.Retire, st.just(0), AMOUNTS, ACCOUNTS, SAID),
        st.builds(
            actions.Retire, st.just(0), AMOUNTS, ACCOUNTS, SAID,
            st.just(KITCHEN.hex()), st.just(NOON), st.sampled_from([60, 900, 3_600]),
        ),
        st.builds(actions.Claim, st.just(0)),
        st.builds(actions.Withdraw, st.just(0), AMOUNTS, SAID),
    )
)  # fmt: skip
def test_an_action_comes_back_from_their_document_as_it_was(action: actions.Action) -> None:
    lived = LivedBook()
    lived.issue(500)
    document = document_of(action, NEIGHBOUR, PRODUCER, NOW, NOW + 1)
    again = read_action(encode(document))
    assert again == document
    assert action_of(again, lived.book.state, TERMS, NOW) == action


@given(st.integers(1, 10**6), st.decimals(0, 1, places=6, allow_nan=False))
def test_a_percentage_rounds_down_and_the_rest_stays(wh: int, share: Decimal) -> None:
    assume(Fraction(share) * wh >= 1 and wh <= 300_000)
    lived = LivedBook()
    bundle = lived.issue(wh)
    fields = {"granular_certificate_bundle_ids": [bundle.number], "action_type": "transfer"}
    fields |= {"target_id": NEIGHBOUR.hex(), "certificate_bundle_percentage": str(share)}
    action = wanted(lived, **fields)
    assert isinstance(action, actions.Transfer)
    assert action.wh == wh * int(share * 10**6) // 10**6
    made = lived.do(PRODUCER, action)
    rest = sum(b.wh for b in lived.book.state.parts_of(bundle.origin) if b.holder == PRODUCER)
    assert (made[0].wh, made[0].wh + rest) == (action.wh, wh)


def test_a_percentage_as_a_number_is_exact() -> None:
    lived = LivedBook()
    lived.issue(1_000)
    sent = b'{"source_id":"%s","user_id":"%s","granular_certificate_bundle_ids":[0]' % (
        (PRODUCER.hex().encode(),) * 2
    )
    sent += b',"action_type":"cancel","certificate_bundle_percentage":0.57}'
    action = action_of(read_action(sent), lived.book.state, TERMS, NOW)
    assert action == actions.Retire(0, 570, PRODUCER.hex(), "disclosure")


@pytest.mark.parametrize(
    "share", ["0", "-0.5", "1.000001", "75", "NaN", "Infinity", "1e-999999", "1e999999999"]
)
def test_what_is_no_share_is_refused_and_the_message_says_how_to_write_it(share: str) -> None:
    lived = LivedBook()
    lived.issue(1_000)
    fields = {"granular_certificate_bundle_ids": [0], "action_type": "cancel"}
    with pytest.raises(DocumentUnusable, match=r"such as 0\.75 for 75 per cent"):
        wanted(lived, **fields, certificate_bundle_percentage=share)


TO_NEIGHBOUR = {"action_type": "transfer", "target_id": NEIGHBOUR.hex()}
IN_THE_KITCHEN = {
    "action_type": "cancel",
    "beneficiary": NEIGHBOUR.hex(),
    "consumption_device_id": KITCHEN.hex(),
    "consumption_starting_interval": "2016-06-21T12:00:00Z",
    "consumption_ending_interval": "2016-06-21T12:15:00Z",
}
ONE = {"granular_certificate_bundle_ids": [0]}


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        (TO_NEIGHBOUR, "granular_certificate_bundle_ids"),
        (TO_NEIGHBOUR | {"granular_certificate_bundle_ids": []}, "name 1 to"),
        (TO_NEIGHBOUR | {"granular_certificate_bundle_ids": [0, 0]}, "named twice"),
        (
            TO_NEIGHBOUR | {"granular_certificate_bundle_ids": [*range(BUNDLES_MAX + 1)]},
            "name 1 to 100$",
        ),
        (TO_NEIGHBOUR | {"granular_certificate_bundle_ids": [7]}, "no bundle 7"),
        (TO_NEIGHBOUR | {"granular_certificate_bundle_ids": ["0"]}, "Expected `int`"),
        (TO_NEIGHBOUR | ONE | {"certificate_quantity": 1_001}, "it has 1000"),
        (TO_NEIGHBOUR | ONE | {"certificate_quantity": 0}, "it has 1000"),
        (TO_NEIGHBOUR | ONE | {"certificate_quantity": 1.5}, "Expected `int"),
        (
            TO_NEIGHBOUR
            | ONE
            | {"certificate_quantity": 1, "certificate_bundle_percentage": "0.5"},
            "use one of them",
        ),
        (TO_NEIGHBOUR | ONE | {"certificate_bundle_percentage": "0.0009"}, "no whole Wh"),
        (TO_NEIGHBOUR | ONE | {"beneficiary": NEIGHBOUR.hex()}, "a transfer has none"),
        (TO_NEIGHBOUR | ONE | {"source_id": FORGER.hex()}, "not in source_id"),
        (TO_NEIGHBOUR | ONE | {"source_id": "0x12"}, "not an account"),
        (TO_NEIGHBOUR | ONE | {"user_id": "7"}, "not an account"),
        (TO_NEIGHBOUR | ONE | {"target_id": PRODUCER.hex().upper() + "Z"}, "not an account"),
        (TO_NEIGHBOUR | ONE | {"gift": True}, "unknown field"),
        (ONE | {"action_type": "transfer"}, "target_id is missing"),
        (ONE | {"action_type": "recurring_transfer"}, "use one of transfer"),
        (ONE, "use one of transfer"),
        (ONE | {"action_type": "withdraw"}, "give a reason"),
        (ONE | {"action_type": "claim", "certificate_quantity": 1}, "claim all of it"),
        (ONE | {"action_type": "claim", "beneficiary": NEIGHBOUR.hex()}, "only the beneficiary"),
        (ONE | {"action_type": "cancel", "beneficiary": ""}, "not an account"),
        (ONE | IN_THE_KITCHEN | {"consumption_device_id": None}, "a consumption: name"),
        (ONE | IN_THE_KITCHEN | {"consumption_starting_interval": None}, "a consumption: name"),
        (ONE | IN_THE_KITCHEN | {"consumption_ending_interval": None}, "a consumption: name"),
        (ONE | IN_THE_KITCHEN | {"consumption_device_id": "A3" * 20}, "not a meter"),
        (
            ONE | IN_THE_KITCHEN | {"consumption_ending_interval": "2016-06-21T12:15:01Z"},
            "901 s: use 60 to 3600 s",
        ),
        (
            ONE | TO_NEIGHBOUR | {"action_type": "reserve", "reserved_until": "2016-06-22T00:00"},
            "has no time zone",
        ),
    ],
)
def test_a_document_that_says_too_little_or_too_much_is_refused_on_one_line(
    fields: dict[str, object], why: str
) -> None:
    lived = LivedBook()
    lived.issue(1_000)
    with pytest.raises(InputError, match=why) as refusal:
        wanted(lived, **fields)
    assert "\n" not in str(refusal.value)


def test_one_bundle_too_small_leaves_the_others_where_they_are() -> None:
    lived = LivedBook()
    lived.issue(1_000)
    lived.issue(5, NOON + QUARTER_S)
    both = TO_NEIGHBOUR | {"granular_certificate_bundle_ids": [0, 1]}
    with pytest.raises(ActionRefused, match=r"6 Wh of bundle 1: it has 5 \(R14\)"):
        wanted(lived, **both, certificate_quantity=6)
    found = wanted(lived, **both, certificate_bundle_percentage="0.5")
    to = NEIGHBOUR.hex()
    assert found == actions.Together((actions.Transfer(0, 500, to), actions.Transfer(1, 2, to)))
    moved = lived.do(PRODUCER, found)
    assert [(bundle.holder, bundle.wh) for bundle in moved] == [(NEIGHBOUR, 500), (NEIGHBOUR, 2)]


def test_a_document_is_done_whole_or_not_at_all() -> None:
    lived = LivedBook()
    for quarter in range(3):
        lived.issue(100, NOON + quarter * QUARTER_S)
    lived.do(PRODUCER, actions.Reserve(2, 100, NEIGHBOUR.hex(), lived.book.now + 900))
    fields = TO_NEIGHBOUR | {"granular_certificate_bundle_ids": [0, 1, 2]}
    before = repr(lived.book.state)
    with pytest.raises(ActionRefused, match=r"3 of 3: bundle 2 is reserved.*\(R14\)"):
        lived.do(PRODUCER, wanted(lived, **fields))
    assert repr(lived.book.state) == before
    assert [bundle.holder for bundle in lived.book.state.bundles.values()] == [PRODUCER] * 3


def test_a_document_for_one_consumption_takes_up_no_more_than_that() -> None:
    lived = LivedBook()
    lived.issue(100)
    lived.do(PRODUCER, actions.Transfer(0, 50, NEIGHBOUR.hex()))
    lived.do(NEIGHBOUR, actions.Transfer(1, 50, PRODUCER.hex()))
    lived.consume(99)
    fields = IN_THE_KITCHEN | {"granular_certificate_bundle_ids": [1, 2]}
    with pytest.raises(ActionRefused, match=r"2 of 2: 50 Wh for .* 49 Wh left to match \(R19\)"):
        lived.do(PRODUCER, wanted(lived, **fields))
    assert not lived.book.state.retirements


def test_an_action_belongs_to_its_route() -> None:
    lived = LivedBook()
    lived.issue(10)
    document = ActionDocument(
        source_id=PRODUCER.hex(), user_id=PRODUCER.hex(), granular_certificate_bundle_ids=(0,)
    )
    state = lived.book.state
    cancelled = actions.Retire(0, 10, PRODUCER.hex(), "disclosure")
    assert action_of(document, state, TERMS, NOW, "cancel") == cancelled
    named = msgspec.structs.replace(document, action_type="cancel")
    with pytest.raises(DocumentUnusable, match="route of a transfer"):
        action_of(named, state, TERMS, NOW, "transfer")


def test_a_reservation_without_an_end_lasts_as_the_registry_fixed() -> None:
    lived = LivedBook()
    lived.issue(10)
    found = wanted(lived, **ONE | TO_NEIGHBOUR | {"action_type": "reserve"})
    assert found == actions.Reserve(0, 10, NEIGHBOUR.hex(), NOW + 3_600)


@pytest.mark.parametrize(
    ("code", "word"),
    [(0x010100, "solar_pv"), (0x010200, "other"), (0x020100, "wind"), (0x050100, "other")],
)
def test_a_technology_code_has_a_word_where_it_says_the_source(code: int, word: str) -> None:
    lived = LivedBook()
    device = replace(lived.book.state.devices[ROOF], source=code)
    assert energy_source(device) == word


def test_a_document_of_too_many_bytes_is_not_read() -> None:
    with pytest.raises(DocumentUnusable, match="name fewer bundles"):
        read_action(b" " * 65_537)


def test_what_they_have_no_action_for_is_said() -> None:
    with pytest.raises(DocumentUnusable, match="no action for release"):
        document_of(actions.Release(0), PRODUCER, PRODUCER, NOW)
