"""The demo's clock: the past weeks are played up to now, so that waits really elapse."""

from datetime import datetime

from portal.outside.clock import Clock
from portal.rules.refusals import Refused


class PlayedClock:
    """Stands still at `start` until moved; once released it follows `real`. It never runs backwards."""

    def __init__(self, start: datetime, real: Clock) -> None:
        if start.tzinfo is None:
            raise Refused("naive_moment", "The demo's clock needs a moment with its time zone.")
        self._moment, self._real, self._played = start.astimezone(real.now().tzinfo), real, True

    def now(self) -> datetime:
        return self._moment if self._played else max(self._moment, self._real.now())

    def advance_to(self, moment: datetime) -> None:
        """Move forward. A moment that is already past, or a released clock, is refused."""
        if not self._played or moment < self._moment:
            raise Refused("clock_backwards", "The demo's clock only moves forward, until it is released.")
        self._moment = moment.astimezone(self._moment.tzinfo)

    def release(self) -> None:
        self._played = False
