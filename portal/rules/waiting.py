"""Days and waits. A day is a day in Europe/Paris; a wait counts whole days after the day it began."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")

EMAIL_SILENCE_DAYS, POST_SILENCE_DAYS = 7, 14
"""An accepted e-mail or a posted letter counts as delivered when it did not come back for that long (DOMAIN §4, 9)."""

RETRY = (timedelta(minutes=5), timedelta(hours=1), timedelta(hours=6), timedelta(days=1))
"""How long to wait before each further attempt to send a message that no server took."""

ATTEMPTS = len(RETRY) + 1
"""After so many the message waits for somebody at the desk to say that it is tried again."""


def paris_day(moment: datetime) -> date:
    return moment.astimezone(PARIS).date()


def midnight(day: date) -> datetime:
    """The moment at which a day begins in Paris, in UTC. A day before 1900 is that year's first: nobody living said or
    did anything then."""
    return datetime.combine(max(day, date(1900, 1, 1)), time.min, PARIS).astimezone(UTC)


def lost_days(outages: Iterable[tuple[datetime, datetime | None]], now: datetime) -> frozenset[date]:
    """The Paris days that the outages (from, until) touch; one that is still open goes on through today.

    A wait counts none of them (DOMAIN §4, 14): an outage lengthens it by its own length in whole days.
    """
    lost: set[date] = set()
    for began, ended in outages:
        day, until = paris_day(began), now if ended is None else ended
        last = paris_day(until - timedelta.resolution) if until > began else day - timedelta(days=1)
        while day <= last:
            lost.add(day)
            day += timedelta(days=1)
    return frozenset(lost)


def began_before(now: datetime, days: int, lost: frozenset[date] = frozenset()) -> datetime:
    """A wait of so many whole days is over at `now` exactly when it began before this moment.

    One that began on Monday with one day to wait runs through Tuesday and is over on Wednesday at 0:00. Days that
    are `lost` do not count.
    """
    day = paris_day(now)
    while days > 0:
        day -= timedelta(days=1)
        days -= day not in lost
    return midnight(day)


def waits_until(began: datetime, days: int, lost: frozenset[date] = frozenset()) -> datetime:
    """The moment at which such a wait is over: the counterpart of `began_before`."""
    day = paris_day(began) + timedelta(days=1)
    while days > 0:
        days -= day not in lost
        day += timedelta(days=1)
    return midnight(day)


def silence_counts_before(now: datetime, last_complete_reading: datetime | None, days: int) -> datetime:
    """What was sent at or before this moment was silent for so many days, in returns that have been read since."""
    if last_complete_reading is None:
        return datetime.min.replace(tzinfo=UTC)
    return min(now, last_complete_reading) - timedelta(days=days)


def month_after(day: date) -> date:
    """The same day of the next month, or that month's last day: how long an answer may take (GDPR art. 12(3))."""
    first = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return min(first + timedelta(days=day.day - 1), last)
