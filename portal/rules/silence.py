"""When a channel that was heard regularly has fallen silent: its own longest silence says what is plausible."""

from collections.abc import Iterable
from datetime import date, timedelta
from itertools import pairwise

REMEMBERED = timedelta(days=90)
"""How far back from its last day a channel is looked at: not from today, or a long silence would be forgotten."""

LEAST = 10
"""Days on which it was heard, before a channel has a rhythm at all."""


def silent_since(heard: Iterable[date], today: date, *, factor: float) -> date | None:
    """The last day on which it was heard, once it has been silent for more than `factor` times its longest gap.

    Days, not objections, are counted: a hundred on the day of a campaign are no rhythm.
    """
    days = sorted(set(heard))
    lately = [day for day in days if day > days[-1] - REMEMBERED]
    if len(lately) < LEAST:
        return None
    longest = max(after - before for before, after in pairwise(lately))
    return lately[-1] if (today - lately[-1]) > factor * longest else None
