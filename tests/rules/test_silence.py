"""When a channel has fallen silent: beside its own longest gap, never beside a rhythm that it does not have."""

from datetime import date, timedelta

import pytest

from portal.rules.silence import silent_since

MONDAY = date(2026, 3, 2)


def every(days: int, times: int) -> list[date]:
    return [MONDAY + timedelta(days=days * n) for n in range(times)]


@pytest.mark.parametrize(("gap", "quiet", "alarm"), [(1, 3, False), (1, 4, True), (3, 9, False), (3, 10, True)])
def test_more_than_three_times_the_longest_gap_is_silence(gap: int, quiet: int, alarm: bool) -> None:
    heard = every(gap, 20)
    assert silent_since(heard, heard[-1] + timedelta(days=quiet), factor=3) == (heard[-1] if alarm else None)


def test_a_longer_gap_of_its_own_is_plausible() -> None:
    heard = [*every(1, 20), MONDAY + timedelta(days=30)]
    assert silent_since(heard, heard[-1] + timedelta(days=33), factor=3) is None
    assert silent_since(heard, heard[-1] + timedelta(days=34), factor=3) == heard[-1]


def test_nine_days_are_no_rhythm_and_a_hundred_on_one_day_are_one() -> None:
    for heard in ([], every(1, 9), [MONDAY] * 100 + every(1, 9)):
        assert silent_since(heard, MONDAY + timedelta(days=80), factor=1) is None
    assert silent_since(every(1, 10), MONDAY + timedelta(days=80), factor=1) is not None


def test_three_years_of_silence_are_not_forgotten() -> None:
    assert silent_since(every(2, 30), MONDAY + timedelta(days=3 * 365), factor=3) == every(2, 30)[-1]


def test_a_gap_of_long_ago_does_not_excuse_a_silence_today() -> None:
    later = [MONDAY + timedelta(days=200 + n) for n in range(10)]
    assert silent_since([MONDAY, *later], later[-1] + timedelta(days=4), factor=3) == later[-1]
