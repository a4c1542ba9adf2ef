"""What a step needs from outside, handed in by the door."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from portal.outside.clock import Clock, SystemClock
from portal.outside.keys import KeyRing
from portal.records.database import Connection, as_moment, is_postgres, rows


@dataclass(frozen=True, slots=True)
class Means:
    clock: Clock
    ring: KeyRing
    data_dir: Path
    base_url: str
    mail_from: str
    returns_address: str
    releases_in_plain: bool = False
    """Whether a release may leave unencrypted to a recipient that has no age key: in demo mode and in tests."""

    session_lasts: timedelta = timedelta(hours=8)
    """From signing in to the end of a session, used or not."""

    @property
    def store(self) -> Path:
        """The observatory's store: one folder a practice."""
        return self.data_dir / "store"

    @property
    def releases(self) -> Path:
        """Sealed releases as they are handed over."""
        return self.data_dir / "releases"

    @property
    def drafts(self) -> Path:
        """The files of releases that have not closed, encrypted for the portal itself: one folder a release."""
        return self.data_dir / "drafts"

    @property
    def work(self) -> Path:
        """Plain rows, only while somebody works on them."""
        return self.data_dir / "work"

    @property
    def incoming(self) -> Path:
        """What practices' programs are sending: files that are not complete, or not yet decided on."""
        return self.data_dir / "incoming"

    def lock(self, release_id: str) -> Path:
        """Held by whoever writes a release's files."""
        return self.data_dir / "locks" / release_id

    async def now(self, c: Connection) -> datetime:
        """The moment of a step, read inside it: the database's own clock where one server holds many writers."""
        if is_postgres(c) and isinstance(self.clock, SystemClock):
            moment = as_moment((await rows(c, "SELECT clock_timestamp() AS now"))[0]["now"])
            if moment is not None:
                return moment
        return self.clock.now()
