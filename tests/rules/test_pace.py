"""One mail domain is written to at a pace, whatever the order, and everybody gets a turn."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from portal.rules.pace import Pace

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def test_without_a_pace_everything_goes_at_once() -> None:
    pace = Pace(0)
    assert {pace.turn("a.example", NOW) for _ in range(1000)} == {NOW}


def test_a_pace_of_one_lets_the_first_go_and_the_next_a_minute_later() -> None:
    pace = Pace(1)
    assert [pace.turn("a.example", NOW) == NOW for _ in range(2)] == [True, False]
    assert pace.turn("b.example", NOW) == NOW
    assert pace.turn("a.example", NOW + timedelta(seconds=59)) > NOW + timedelta(seconds=59)


@given(st.integers(1, 200), st.lists(st.tuples(st.integers(1, 60), st.floats(0, 90)), min_size=1, max_size=40))
def test_no_minute_has_more_than_the_pace_and_its_burst_and_each_gets_its_turn(
    a_minute: int, rounds: list[tuple[int, float]]
) -> None:
    """Rounds of so many new messages and so many seconds of rest; then rounds until nothing waits."""
    pace, now = Pace(a_minute), NOW
    waiting: list[datetime] = []
    gone: list[datetime] = []

    def one_round(new: int) -> None:
        due = [turn for turn in waiting if turn <= now] + [now] * new
        waiting[:] = [turn for turn in waiting if turn > now]
        for _ in due:
            turn = pace.turn("a.example", now)
            (gone if turn == now else waiting).append(turn)

    for new, rest in rounds:
        one_round(new)
        now += timedelta(seconds=rest)
    limit = len(gone) + len(waiting) + 10
    while waiting and limit:
        now, limit = max(now, min(waiting)), limit - 1
        one_round(0)
    assert not waiting
    assert len(gone) == sum(new for new, _ in rounds)
    most = max(sum(start <= at < start + timedelta(minutes=1) for at in gone) for start in gone)
    assert most <= a_minute + max(1, a_minute / 2)
