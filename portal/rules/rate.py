"""How often one caller may ask."""

from datetime import datetime, timedelta


class Rate:
    """So many requests a minute for each caller, `burst` of them at once; it remembers what it let through, so each
    process of the server counts for itself."""

    def __init__(self, a_minute: int, burst: int) -> None:
        self._between = timedelta(minutes=1) / a_minute
        self._ahead = self._between * (burst - 1)
        self._next: dict[str, datetime] = {}

    def wait(self, caller: str, now: datetime) -> timedelta:
        """Zero lets the request through and counts it; otherwise how long to wait, and nothing is counted."""
        due = max(self._next.get(caller, now), now)
        early = due - now - self._ahead
        if early > timedelta(0):
            return early
        self._next[caller] = due + self._between
        if len(self._next) > 10_000:
            self._next = {name: at for name, at in self._next.items() if at > now}
        return timedelta(0)
