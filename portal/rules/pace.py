"""How fast one mail domain is written to: large providers refuse whoever comes too fast."""

from datetime import datetime, timedelta

BURST = timedelta(seconds=30)


class Pace:
    """So many messages a minute to one domain, in bursts of half of that; 0: as many as there are.

    It remembers what it let go, so each worker has one. What is beyond the pace gets a turn behind all that waits for
    the same domain, and holds up no other.
    """

    def __init__(self, a_minute: int = 0) -> None:
        self._between = timedelta(minutes=1) / a_minute if a_minute else timedelta(0)
        self._ahead = max(BURST - self._between, timedelta(0))
        self._next: dict[str, datetime] = {}
        self._last_turn: dict[str, datetime] = {}

    def turn(self, domain: str, now: datetime) -> datetime:
        """When a message to this domain may go: `now`, or ask again then."""
        evenly = max(now, self._next.get(domain, now))
        if evenly - now <= self._ahead or not self._between:
            self._next[domain] = evenly + self._between
            return now
        at = max(evenly - self._ahead, self._last_turn.get(domain, now) + self._between)
        self._last_turn[domain] = at
        return at
