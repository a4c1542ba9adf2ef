from datetime import UTC, datetime, timedelta, timezone

import pytest

from portal.demo.clock import PlayedClock
from portal.outside.clock import SystemClock
from portal.rules.refusals import Refused

START = datetime(2026, 9, 1, tzinfo=UTC)


def test_the_system_clock_tells_aware_utc():
    assert SystemClock().now().utcoffset() == timedelta(0)


def test_the_played_clock_stands_still_until_moved():
    clock = PlayedClock(START, SystemClock())
    assert clock.now() == clock.now() == START
    clock.advance_to(datetime(2026, 9, 2, 2, tzinfo=timezone(timedelta(hours=2))))
    assert clock.now().isoformat() == "2026-09-02T00:00:00+00:00"


def test_the_played_clock_never_runs_backwards():
    clock = PlayedClock(START, SystemClock())
    with pytest.raises(Refused, match="clock_backwards"):
        clock.advance_to(START - timedelta(seconds=1))
    with pytest.raises(Refused, match="naive_moment"):
        PlayedClock(START.replace(tzinfo=None), SystemClock())


def test_a_released_clock_tells_real_time_and_is_not_moved_again():
    clock = PlayedClock(START, SystemClock())
    clock.release()
    assert clock.now() - SystemClock().now() < timedelta(seconds=5)
    with pytest.raises(Refused, match="clock_backwards"):
        clock.advance_to(clock.now() + timedelta(days=1))


def test_a_clock_played_beyond_now_waits_there_for_real_time():
    ahead = SystemClock().now() + timedelta(days=1)
    clock = PlayedClock(START, SystemClock())
    clock.advance_to(ahead)
    clock.release()
    assert clock.now() == ahead
