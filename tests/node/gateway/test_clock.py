"""A clock that is set while a gateway runs: said in the records, never a second one."""

from commonwatt.node.gateway.clock import CLOCK_STEP_S_MAX, ClockWatch

NOON = 1_466_510_400


def test_a_clock_that_goes_on_is_believed() -> None:
    watch = ClockWatch()
    for second in range(0, 10_000, 60):
        assert watch.look(NOON + second, 5.0 + second)
    assert watch.latest == NOON + 9_960


def test_a_clock_that_is_kept_right_by_seconds_is_believed() -> None:
    watch = ClockWatch()
    assert watch.look(NOON, 0.0)
    assert watch.look(NOON + 60 + CLOCK_STEP_S_MAX, 60.0)
    assert watch.look(NOON + 60, 60.0 + CLOCK_STEP_S_MAX)


def test_a_clock_set_back_is_not_believed_until_it_is_where_it_was() -> None:
    watch = ClockWatch()
    assert watch.look(NOON, 0.0)
    back = NOON - 3_600
    assert not watch.look(back, 1.0)
    assert not watch.look(NOON - CLOCK_STEP_S_MAX - 1, 3_000.0)
    assert watch.look(NOON - CLOCK_STEP_S_MAX, 3_600.0)
    assert watch.latest == NOON


def test_a_leap_ahead_is_noticed_once() -> None:
    watch = ClockWatch()
    assert watch.look(NOON, 0.0)
    assert not watch.look(NOON + 3_600, 1.0)
    assert watch.look(NOON + 3_601, 2.0)


def test_a_restart_remembers_how_late_it_was() -> None:
    assert not ClockWatch(NOON).look(NOON - 3_600, 0.0)
    assert ClockWatch(NOON).look(NOON + 5, 0.0)
