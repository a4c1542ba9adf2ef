"""Waits count whole Paris days: pinned at the minutes around midnight, and as properties over any moment."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.rules.waiting import (
    EMAIL_SILENCE_DAYS,
    PARIS,
    POST_SILENCE_DAYS,
    began_before,
    lost_days,
    midnight,
    month_after,
    paris_day,
    silence_counts_before,
    waits_until,
)

MINUTE = timedelta(minutes=1)
MOMENTS = st.integers(0, 15 * 366 * 86_400).map(lambda s: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=s))
"""Any moment, those of the two nights a year in which the clocks change included."""


def paris(text: str) -> datetime:
    """`2026-03-28 23:59` in Paris, as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=PARIS).astimezone(UTC)


def test_a_day_begins_at_midnight_in_paris_in_winter_and_in_summer() -> None:
    assert midnight(date(2026, 1, 15)) == datetime(2026, 1, 14, 23, tzinfo=UTC)
    assert midnight(date(2026, 7, 15)) == datetime(2026, 7, 14, 22, tzinfo=UTC)
    assert midnight(date(2026, 7, 15)).tzinfo is UTC


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_a_day_on_which_the_clocks_change_is_one_day(day: str, hours: int) -> None:
    this = date.fromisoformat(day)
    assert midnight(this + timedelta(days=1)) - midnight(this) == timedelta(hours=hours)
    assert waits_until(midnight(this), 1) == midnight(this + timedelta(days=2))


@pytest.mark.parametrize("began", ["2026-03-02 00:00", "2026-03-02 12:00", "2026-03-02 23:59"])
def test_a_day_of_waiting_that_began_on_monday_is_over_on_wednesday(began: str) -> None:
    assert waits_until(paris(began), 1) == paris("2026-03-04 00:00")


def test_a_wait_of_no_days_runs_to_the_end_of_the_day() -> None:
    assert waits_until(paris("2026-03-02 09:00"), 0) == paris("2026-03-03 00:00")


@pytest.mark.parametrize(
    ("began", "ends"),
    [
        ("2026-03-02 09:00", "2026-04-02 00:00"),  # across the change to summer time
        ("2026-10-01 09:00", "2026-11-01 00:00"),  # and back
        ("2026-06-10 09:00", "2026-07-11 00:00"),
        ("2024-02-20 23:59", "2024-03-22 00:00"),  # over a 29 February
    ],
)
def test_thirty_days_are_over_at_midnight_and_not_a_minute_before(began: str, ends: str) -> None:
    start, end = paris(began), paris(ends)
    assert waits_until(start, 30) == end
    assert start < began_before(end, 30)
    assert start < began_before(end + MINUTE, 30)
    assert not start < began_before(end - MINUTE, 30)


def test_what_begins_a_minute_after_midnight_waits_a_day_longer() -> None:
    now = paris("2026-04-02 08:00")
    assert paris("2026-03-02 23:59") < began_before(now, 30)
    assert not paris("2026-03-03 00:00") < began_before(now, 30)
    assert not paris("2026-03-03 00:01") < began_before(now, 30)


@given(MOMENTS, MOMENTS, st.integers(0, 400))
def test_the_two_ways_to_ask_whether_a_wait_is_over_agree(began: datetime, now: datetime, days: int) -> None:
    assert (began < began_before(now, days)) == (waits_until(began, days) <= now)


@given(MOMENTS, st.integers(0, 60))
def test_the_two_ways_agree_at_the_very_moment(began: datetime, days: int) -> None:
    over = waits_until(began, days)
    assert began < began_before(over, days)
    assert not began < began_before(over - timedelta(microseconds=1), days)


@given(MOMENTS, st.integers(0, 400))
def test_a_wait_never_ends_before_its_days_have_passed(began: datetime, days: int) -> None:
    whole = (paris_day(waits_until(began, days)) - paris_day(began)).days - 1
    assert whole == days
    assert paris_day(waits_until(began, days) - MINUTE) == paris_day(began) + timedelta(days=days)


@given(MOMENTS, MOMENTS, st.integers(0, 60))
def test_time_only_ever_ends_a_wait(now: datetime, later: datetime, days: int) -> None:
    now, later = sorted((now, later))
    assert began_before(now, days) <= began_before(later, days)


def test_silence_counts_for_nothing_before_a_complete_reading() -> None:
    assert silence_counts_before(paris("2026-03-02 09:00"), None, EMAIL_SILENCE_DAYS) < datetime(1900, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("days", [EMAIL_SILENCE_DAYS, POST_SILENCE_DAYS])
@given(now=MOMENTS, read=MOMENTS)
def test_silence_counts_up_to_so_many_days_before_the_last_reading_and_never_before_now(
    now: datetime, read: datetime, days: int
) -> None:
    counted = silence_counts_before(now, read, days)
    assert counted <= read - timedelta(days=days)
    assert counted <= now - timedelta(days=days)
    assert counted == min(now, read) - timedelta(days=days)


# --- days on which the path of objections did not work ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("began", "ended", "days"),
    [
        ("2026-05-04 10:00", "2026-05-04 10:01", [4]),
        ("2026-05-04 23:59", "2026-05-05 00:01", [4, 5]),
        ("2026-05-04 10:00", "2026-05-05 00:00", [4]),
        ("2026-05-04 00:00", "2026-05-04 00:00", []),
        ("2026-05-04 10:00", "2026-05-04 10:00", []),
        ("2026-05-04 10:00", None, [4, 5, 6]),
    ],
)
def test_an_outage_takes_the_paris_days_that_it_touches(began: str, ended: str | None, days: list[int]) -> None:
    outage = (paris(began), paris(ended) if ended else None)
    assert lost_days([outage], paris("2026-05-06 12:00")) == {date(2026, 5, day) for day in days}


def test_two_outages_on_one_day_take_it_once() -> None:
    day = [(paris("2026-05-04 10:00"), paris("2026-05-04 11:00")), (paris("2026-05-04 12:00"), None)]
    assert lost_days(day, paris("2026-05-04 13:00")) == {date(2026, 5, 4)}


DAYS_LOST = st.frozensets(st.integers(0, 60), max_size=30)


@given(MOMENTS, st.integers(0, 40), DAYS_LOST)
def test_a_wait_is_over_exactly_when_so_many_days_have_passed_that_were_not_lost(
    began: datetime, days: int, ahead: frozenset[int]
) -> None:
    lost = frozenset(paris_day(began) + timedelta(days=n) for n in ahead)
    over = waits_until(began, days, lost)
    assert began < began_before(over, days, lost)
    assert not began < began_before(over - MINUTE, days, lost)
    passed = [paris_day(began) + timedelta(days=n) for n in range(1, (paris_day(over) - paris_day(began)).days)]
    assert len([day for day in passed if day not in lost]) == days


@given(MOMENTS, st.integers(0, 40), DAYS_LOST)
def test_an_outage_never_shortens_a_wait(began: datetime, days: int, ahead: frozenset[int]) -> None:
    lost = frozenset(paris_day(began) + timedelta(days=n) for n in ahead)
    assert waits_until(began, days, lost) >= waits_until(began, days)
    assert began_before(began, days, lost) <= began_before(began, days)


# --- how long an answer may take -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "month_later"),
    [
        ("2026-03-02", "2026-04-02"),
        ("2026-03-01", "2026-04-01"),
        ("2026-03-31", "2026-04-30"),
        ("2026-01-31", "2026-02-28"),
        ("2028-01-30", "2028-02-29"),
        ("2026-02-28", "2026-03-28"),
        ("2026-11-30", "2026-12-30"),
        ("2026-12-01", "2027-01-01"),
        ("2026-12-31", "2027-01-31"),
    ],
)
def test_a_month_later_is_the_same_day_or_the_last_of_a_shorter_month(day: str, month_later: str) -> None:
    assert month_after(date.fromisoformat(day)) == date.fromisoformat(month_later)
