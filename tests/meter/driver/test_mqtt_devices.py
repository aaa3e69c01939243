"""Shelly, Tasmota and Home Assistant over MQTT."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.meter.driver import Message, Reading, open_driver
from commonwatt.meter.driver.failure import (
    DriverOptionsUnusable,
    FormatUnreadable,
    MessageTooLarge,
    NumberUnreadable,
    RegisterMissing,
    TimeUnreadable,
    UnitUnknown,
    ValueUnavailable,
)
from commonwatt.meter.driver.homeassistant import HomeAssistant, HomeAssistantOptions
from commonwatt.meter.driver.shelly import PAYLOAD_BYTES_MAX, ShellyOptions, read_shelly
from commonwatt.meter.driver.tasmota import TasmotaOptions, read_tasmota
from commonwatt.quantity import decimal_text
from meter.driver.samples import RECEIVED, as_json

NOON = 1_705_316_400
energies = st.integers(min_value=0, max_value=10**12)


def shelly(
    topic: str, payload: object, *, retained: bool = False, **options: bool
) -> tuple[Reading, ...]:
    data = payload if isinstance(payload, bytes) else as_json(payload)
    return read_shelly(Message(data, RECEIVED, topic, retained), ShellyOptions(**options))


def tasmota(
    payload: object, topic: str = "tele/cellar/SENSOR", *, retained: bool = False, **options: str
) -> tuple[Reading, ...]:
    message = Message(as_json(payload), RECEIVED, topic, retained)
    return read_tasmota(message, TasmotaOptions(**options))


# Shelly


@given(energies, energies)
def test_registers_of_a_shelly_are_read_back_exactly(into: int, out: int) -> None:
    fields = f'{{"total_act":{decimal_text(into, 3)},"total_act_ret":{decimal_text(out, 3)}}}'
    [reading] = shelly("pro/status/emdata:0", fields.encode())
    assert reading == Reading("pro/emdata:0", RECEIVED, into, out)


def test_a_first_generation_meter_sends_one_register_a_message() -> None:
    [imported] = shelly("shellies/shellyem-1/emeter/1/total", b"1234.5")
    [exported] = shelly("my/shellies/shellyem-1/emeter/1/total_returned", b"6.7")
    assert imported == Reading("shellyem-1/emeter/1", RECEIVED, 1_234_500, None)
    assert exported.after(imported) == Reading("shellyem-1/emeter/1", RECEIVED, 1_234_500, 6_700)


INFO = {
    "unixtime": NOON,
    "emeters": [{"total": 5.3, "total_returned": 0.25, "is_valid": True} for _ in range(3)],
}


def test_a_first_generation_status_has_all_channels_at_its_own_time() -> None:
    readings = shelly("shellies/shellyem3-1/info", INFO)
    assert [reading.source for reading in readings] == [f"shellyem3-1/emeter/{n}" for n in range(3)]
    assert readings[0] == Reading("shellyem3-1/emeter/0", NOON, 5_300, 250)
    [whole] = shelly("shellies/shellyem3-1/info", INFO, sum_phases=True)
    assert whole == Reading("shellyem3-1", NOON, 15_900, 750)
    assert shelly("shellies/shelly1-1/info", {"relays": []}) == ()
    assert shelly("shellies/shelly1-1/info", {"emeters": []}, sum_phases=True) == ()


def test_a_clock_that_is_not_set_yet_gives_way_to_the_time_of_arrival() -> None:
    [first, *_] = shelly("shellies/shellyem3-1/info", INFO | {"unixtime": 0})
    assert first.time == RECEIVED


@pytest.mark.parametrize("component", ["em1data:0", "em1data:2"])
def test_a_single_phase_meter_of_a_later_generation(component: str) -> None:
    fields = {"id": 0, "total_act_energy": 6644.90, "total_act_ret_energy": 2595.26}
    [reading] = shelly(f"my/home/status/{component}", fields)
    assert reading == Reading(f"my/home/{component}", RECEIVED, 6_644_900, 2_595_260)


@pytest.mark.parametrize("component", ["switch:0", "pm1:0", "cover:1"])
def test_what_a_plug_counted_both_ways_is_told_apart(component: str) -> None:
    both = {"aenergy": {"total": 100.5}, "ret_aenergy": {"total": 40.25}}
    [reading] = shelly(f"plug/status/{component}", both)
    assert reading == Reading(f"plug/{component}", RECEIVED, 60_250, 40_250)
    [one_way] = shelly(f"plug/status/{component}", {"aenergy": {"total": 100.5}})
    assert one_way == Reading(f"plug/{component}", RECEIVED, 100_500, None)


def test_a_plug_that_gave_back_more_than_it_counted_is_refused_with_advice() -> None:
    with pytest.raises(NumberUnreadable, match="reset both counters together"):
        shelly("plug/status/pm1:0", {"aenergy": {"total": 1}, "ret_aenergy": {"total": 2}})


def test_a_notification_has_its_own_time_and_only_whole_components_count() -> None:
    params = {
        "ts": 1705316400.25,
        "emdata:0": {"total_act": 1, "total_act_ret": 2},
        "switch:0": {"aenergy": {"total": 100.5}},
        "sys": {},
    }
    event = {"src": "pro-1", "method": "NotifyStatus", "params": params}
    assert shelly("pro-1/events/rpc", event) == (Reading("pro-1/emdata:0", NOON, 1_000, 2_000),)
    assert shelly("pro-1/events/rpc", event | {"method": "NotifyEvent"}) == ()


def test_what_the_broker_kept_is_no_reading_of_now() -> None:
    assert shelly("shellies/e/emeter/0/total", b"1", retained=True) == ()
    assert shelly("p/status/em1data:0", {"total_act_energy": 1}, retained=True) == ()
    assert shelly("shellies/e/info", INFO | {"unixtime": 0}, retained=True) == ()
    [kept, *_] = shelly("shellies/e/info", INFO, retained=True)
    assert kept.time == NOON
    event = {"src": "p", "method": "NotifyStatus", "params": {"emdata:0": {}}}
    assert shelly("p/events/rpc", event, retained=True) == ()


@pytest.mark.parametrize(
    "topic",
    ["", "shellies/e/emeter/0/power", "p/status/wifi", "p/status/em:0", "p/online", "other/total"],
)
def test_other_topics_of_a_shelly_are_passed_over(topic: str) -> None:
    assert shelly(topic, b"\xff") == ()


def test_a_switch_that_measures_nothing_is_passed_over() -> None:
    assert shelly("plug/status/switch:0", {"id": 0, "output": True}) == ()


def test_a_counter_that_forgets_is_refused_with_advice() -> None:
    with pytest.raises(RegisterMissing, match="from zero after each restart"):
        shelly("shellies/shellyplug-1/relay/0/energy", b"12345")


@pytest.mark.parametrize(
    ("topic", "payload", "failure"),
    [
        ("shellies/e/emeter/0/total", b"", NumberUnreadable),
        ("shellies/e/emeter/0/total", b"\xff", FormatUnreadable),
        ("shellies/e/emeter/0/total", b"1" * (PAYLOAD_BYTES_MAX + 1), MessageTooLarge),
        ("p/status/emdata:0", {"total_act": 1}, RegisterMissing),
        ("p/status/emdata:0", {"total_act": None, "total_act_ret": 1}, ValueUnavailable),
        ("p/status/emdata:0", {"total_act": -1, "total_act_ret": 1}, NumberUnreadable),
        ("p/status/emdata:0", [], FormatUnreadable),
        ("p/status/switch:0", {"aenergy": None}, FormatUnreadable),
        (
            "p/status/switch:0",
            {"aenergy": {"total": 1}, "ret_aenergy": {"total": 2}},
            NumberUnreadable,
        ),
        ("shellies/e/info", {"emeters": [{"is_valid": False}]}, ValueUnavailable),
        ("shellies/e/info", {"emeters": [{"is_valid": True}]}, RegisterMissing),
        ("shellies/e/info", {"emeters": {}}, FormatUnreadable),
        ("shellies/e/info", {"emeters": [], "unixtime": "noon"}, FormatUnreadable),
        ("shellies/e/info", {"emeters": [], "unixtime": 10**11 * 5}, TimeUnreadable),
        ("p/events/rpc", {"method": "NotifyStatus"}, FormatUnreadable),
    ],
)
def test_a_shelly_message_that_cannot_be_used_is_refused(
    topic: str, payload: object, failure: type
) -> None:
    with pytest.raises(failure):
        shelly(topic, payload)


# Tasmota


@given(energies, energies)
def test_registers_of_tasmota_are_read_back_exactly(into: int, out: int) -> None:
    text = f'{{"ENERGY":{{"Total":{decimal_text(into, 6)},"ExportActive":{decimal_text(out, 6)}}}}}'
    message = Message(text.encode(), RECEIVED, "tele/cellar/SENSOR")
    assert read_tasmota(message, TasmotaOptions()) == (Reading("cellar", RECEIVED, into, out),)


def test_phases_are_added_up() -> None:
    [reading] = tasmota({"ENERGY": {"Total": [1.5, 2.5, 3.0], "ExportActive": [0, 0.25, 0]}})
    assert (reading.import_mwh, reading.export_mwh) == (7_000_000, 250_000)


def test_the_device_time_counts_only_with_its_offset() -> None:
    [reading] = tasmota({"Time": "2024-01-15T12:00:00+01:00", "ENERGY": {"Total": 1}})
    assert reading.time == NOON
    [arrived] = tasmota({"Time": "2024-01-15T12:00:00", "ENERGY": {"Total": 1}})
    assert arrived.time == RECEIVED
    assert tasmota({"Time": "2024-01-15T12:00:00", "ENERGY": {"Total": 1}}, retained=True) == ()
    assert tasmota({"Time": "2024-01-15T12:00:00Z", "ENERGY": {"Total": 1}}, retained=True)


@pytest.mark.parametrize(
    "fields",
    [{"Total_in": 1.5, "Total_out": 0.5}, {"total_in": 1.5, "total_out": 0.5},
     {"E_in": 1.5, "E_out": 0.5}, {"1_8_0": 1.5, "2_8_0": 0.5}],
)  # fmt: skip
@pytest.mark.parametrize("group", ["SML", "MT175", ""])
def test_usual_names_of_scripts_are_known(fields: dict, group: str) -> None:
    [reading] = tasmota({"Time": "2024-01-15T12:00:00", group: fields})
    assert (reading.import_mwh, reading.export_mwh) == (1_500_000, 500_000)


def test_a_script_with_names_of_its_own_is_described_by_the_configuration() -> None:
    payload = {"Haus": {"Bezug": 1500, "Lieferung": 250}, "SML": {"Total_in": 9}}
    options = {"group": "Haus", "import_field": "Bezug", "export_field": "Lieferung", "unit": "Wh"}
    [reading] = tasmota(payload, **options)
    assert (reading.import_mwh, reading.export_mwh) == (1_500_000, 250_000)
    [found] = tasmota(payload, import_field="Bezug", unit="Wh")
    assert (found.import_mwh, found.export_mwh) == (1_500_000, None)


@pytest.mark.parametrize(
    ("topic", "source"),
    [("tele/cellar/SENSOR", "cellar"), ("home/tele/cellar/SENSOR", "cellar"),
     ("cellar/tele/SENSOR", "cellar"), ("tele/cellar/STATE", None), ("SENSOR", None), ("", None)],
)  # fmt: skip
def test_topics_of_tasmota(topic: str, source: str | None) -> None:
    readings = tasmota({"ENERGY": {"Total": 1}}, topic)
    assert [reading.source for reading in readings] == ([source] if source else [])


def test_a_thermometer_is_passed_over() -> None:
    assert tasmota({"Time": "2024-01-15T12:00:00", "DS18B20": {"Temperature": 20.5}}) == ()


@pytest.mark.parametrize(
    ("payload", "options", "failure"),
    [
        ([], {}, FormatUnreadable),
        ({"Time": "noon", "ENERGY": {"Total": 1}}, {}, TimeUnreadable),
        ({"ENERGY": {"Power": 1}}, {}, RegisterMissing),
        ({"ENERGY": {"Total": []}}, {}, RegisterMissing),
        ({"ENERGY": {"Total": [1] * 9}}, {}, RegisterMissing),
        ({"ENERGY": {"Total": None}}, {}, ValueUnavailable),
        ({"ENERGY": {"Total": [None]}}, {}, ValueUnavailable),
        ({"ENERGY": {"Total": "nan"}}, {}, NumberUnreadable),
        ({"ENERGY": {"Total": {}}}, {}, FormatUnreadable),
        ({"ENERGY": 7}, {}, FormatUnreadable),
        ({"ENERGY": {"Total": 1}}, {"group": "SML"}, RegisterMissing),
        ({"ENERGY": {"Total": 1}}, {"import_field": "Bezug"}, RegisterMissing),
        ({"A": {"Total_in": 1}, "B": {"Total_in": 1}}, {}, RegisterMissing),
    ],
)
def test_a_tasmota_message_that_cannot_be_used_is_refused(
    payload: object, options: dict, failure: type
) -> None:
    with pytest.raises(failure):
        tasmota(payload, **options)


def test_a_unit_of_tasmota_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(UnitUnknown, match="option unit"):
        TasmotaOptions(unit="kW")


# Home Assistant


def home(**options: object) -> HomeAssistant:
    names = {"imports": ("sensor.grid_import",), "exports": ("sensor.grid_export",)}
    return HomeAssistant(HomeAssistantOptions(**(names | options)))  # type: ignore[arg-type]


def state(
    driver: HomeAssistant, topic: str, payload: bytes, *, retained: bool = False
) -> tuple[Reading, ...]:
    return driver.read(Message(payload, RECEIVED, f"homeassistant/sensor/{topic}", retained))


def test_a_stream_of_states_with_units_gives_readings_of_each_direction() -> None:
    driver = home()
    assert state(driver, "grid_import/unit_of_measurement", b'"kWh"', retained=True) == ()
    assert state(driver, "grid_export/unit_of_measurement", b'"Wh"') == ()
    assert state(driver, "grid_import/state", b"1234.5") == (
        Reading("sensor.grid_import", RECEIVED, 1_234_500_000, None),
    )
    assert state(driver, "grid_export/state", b"1234.5") == (
        Reading("sensor.grid_export", RECEIVED, None, 1_234_500),
    )


def test_without_a_unit_no_state_is_read_unless_the_configuration_names_it() -> None:
    with pytest.raises(UnitUnknown, match="publish_attributes, or option unit"):
        state(home(), "grid_import/state", b"1")
    assert state(home(unit="kWh"), "grid_import/state", b"1")[0].import_mwh == 1_000_000


def test_other_entities_and_kept_states_are_passed_over() -> None:
    driver = home(unit="kWh")
    for topic in ("boiler/state", "grid_import/friendly_name", "grid_import/last_updated"):
        assert state(driver, topic, b"\xff") == ()
    assert state(driver, "grid_import/state", b"1", retained=True) == ()


@pytest.mark.parametrize("text", [b"unavailable", b"unknown", b"None", b""])
def test_an_entity_without_a_value_is_told_as_such(text: bytes) -> None:
    with pytest.raises(ValueUnavailable, match=r"sensor\.grid_import"):
        state(home(unit="kWh"), "grid_import/state", text)


def announced(driver: HomeAssistant, **config: object) -> None:
    fields = {
        "unique_id": "grid_in",
        "state_topic": "meter/7",
        "unit_of_measurement": "kWh",
    } | config
    message = Message(
        as_json(fields), RECEIVED, "homeassistant/sensor/meter7/grid_in/config", retained=True
    )
    assert driver.read(message) == ()


def value(driver: HomeAssistant, payload: bytes, topic: str = "meter/7") -> list[Reading]:
    return list(driver.read(Message(payload, RECEIVED, topic)))


def test_a_sensor_that_announced_itself_is_read_at_its_topic() -> None:
    driver = home(imports=("grid_in",), exports=("grid_out",))
    assert value(driver, b"1.5") == []
    announced(driver)
    announced(driver, unique_id="boiler")
    assert value(driver, b"1.5") == [Reading("grid_in", RECEIVED, 1_500_000, None)]
    assert driver.read(Message(b"1.5", RECEIVED, "meter/7", retained=True)) == ()
    announced(driver, state_topic="meter/8")
    assert value(driver, b"1.5") == []
    assert len(value(driver, b"1.5", "meter/8")) == 1
    gone = Message(b"", RECEIVED, "homeassistant/sensor/meter7/grid_in/config", retained=True)
    assert driver.read(gone) == ()


@pytest.mark.parametrize(
    ("template", "payload"),
    [
        ("{{ value }}", "1.5"),
        ("{{value_json.total}}", '{"total":1.5}'),
        ("{{ value_json.ENERGY.Total }}", '{"ENERGY":{"Total":1.5}}'),
        ("{{ value_json['ENERGY'][\"Total\"] }}", '{"ENERGY":{"Total":"1.5"}}'),
        ("{{- value_json -}}", "1.5"),
    ],
)
def test_templates_that_name_a_path_are_followed(template: str, payload: str) -> None:
    driver = home(imports=("grid_in",))
    announced(driver, value_template=template)
    assert [reading.import_mwh for reading in value(driver, payload.encode())] == [1_500_000]


def test_two_sensors_share_a_topic() -> None:
    driver = home(imports=("grid_in",), exports=("grid_out",))
    announced(driver, value_template="{{ value_json.into }}")
    announced(driver, unique_id="grid_out", value_template="{{ value_json.out }}")
    readings = value(driver, b'{"into":1,"out":2}')
    assert [(r.import_mwh, r.export_mwh) for r in readings] == [
        (1_000_000, None),
        (None, 2_000_000),
    ]


def test_the_short_form_of_an_announcement_is_read() -> None:
    driver = home(imports=("grid_in",))
    for base, topic in (("meter/7", "~/total"), ("/total", "meter/7~")):
        config = {"~": base, "uniq_id": "grid_in", "stat_t": topic, "unit_of_meas": "Wh"}
        message = Message(as_json(config), RECEIVED, "homeassistant/sensor/grid_in/config")
        assert driver.read(message) == ()
        assert value(driver, b"5", "meter/7/total")[0].import_mwh == 5_000


@pytest.mark.parametrize(
    ("config", "failure"),
    [
        ({"unit_of_measurement": "W"}, UnitUnknown),
        ({"unit_of_measurement": None}, UnitUnknown),
        ({"state_topic": ""}, RegisterMissing),
        ({"state_topic": 7}, FormatUnreadable),
        ({"value_template": "{{ value_json.total | float / 1000 }}"}, RegisterMissing),
        ({"value_template": "{% if x %}1{% endif %}"}, RegisterMissing),
        ({"value_template": "{{ value.total }}"}, RegisterMissing),
    ],
)
def test_an_announcement_that_cannot_be_used_is_refused(config: dict, failure: type) -> None:
    with pytest.raises(failure):
        announced(home(imports=("grid_in",)), **config)


@pytest.mark.parametrize(
    ("payload", "failure"),
    [(b"{}", FormatUnreadable), (b"[]", FormatUnreadable), (b'{"total":null}', ValueUnavailable),
     (b'{"total":[]}', FormatUnreadable), (b'{"total":"many"}', NumberUnreadable)],
)  # fmt: skip
def test_a_payload_without_the_announced_path_is_refused(payload: bytes, failure: type) -> None:
    driver = home(imports=("grid_in",))
    announced(driver, value_template="{{ value_json.total }}")
    with pytest.raises(failure):
        value(driver, payload)


@pytest.mark.parametrize(
    "options",
    [{"imports": [], "exports": []}, {"imports": ["a"], "exports": ["a"]}, {"imports": ["a", "a"]},
     {"imports": [f"e{n}" for n in range(1_001)]}],
)  # fmt: skip
def test_entities_are_named_once_and_not_too_many(options: dict) -> None:
    with pytest.raises(DriverOptionsUnusable):
        open_driver("homeassistant", options)


def test_what_outsiders_announce_takes_no_memory() -> None:
    driver = home(imports=("grid_in",))
    for number in range(200):
        announced(driver, unique_id=f"stranger{number}", state_topic=f"t/{number}")
        announced(driver, state_topic=f"t/{number}")
        state(driver, f"stranger{number}/unit_of_measurement", b'"kWh"')
    assert len(driver._announced) == 1
    assert driver._units == {}
    assert json.dumps(sorted(driver._announced)) == '["t/199"]'
