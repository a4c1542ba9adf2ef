"""By which channel somebody is told next, and why she is due now."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from portal.rules.words import Addressee, NoticeChannel, NoticeState

LIVE = frozenset({NoticeState.QUEUED, NoticeState.SENT, NoticeState.HANDED_OVER})
FAILED = frozenset({NoticeState.BOUNCED, NoticeState.RETURNED, NoticeState.UNKNOWN})


class Why(StrEnum):
    """Why a notice is due."""

    NEW_PATIENT = "new_patient"
    NEW_TEXT = "new_text"
    NEW_ADDRESS = "new_address"
    NOW_ADULT = "now_adult"
    OTHER_READER = "other_reader"
    CAME_BACK = "came_back"


@dataclass(frozen=True, slots=True)
class Given:
    """A notice that was made before, as far as the next one depends on it. `enough`: its text tells as much as the
    newest."""

    enough: bool
    channel: NoticeChannel
    state: NoticeState
    addressee: Addressee
    reader_index: str | None
    address_index: str | None


@dataclass(frozen=True, slots=True)
class ToTell:
    """Who is to be told now, and where she can be reached."""

    addressee: Addressee
    reader_index: str | None
    email_index: str | None
    postal_index: str | None

    def places(self) -> dict[NoticeChannel, str]:
        """Her addresses, in the order in which they are tried: mail costs nothing and comes back sooner."""
        found = {NoticeChannel.EMAIL: self.email_index, NoticeChannel.POST: self.postal_index}
        return {channel: index for channel, index in found.items() if index is not None}


@dataclass(frozen=True, slots=True)
class Due:
    """`channel` and `address_index` are None when no address is left: she can only be told by hand."""

    why: Why
    channel: NoticeChannel | None
    address_index: str | None


def due(reader: ToTell, before: Collection[Given]) -> Due | None:
    """What is due to this reader; None while a notice that tells her as much is on its way to her, or has come."""
    hers = [n for n in before if n.addressee == reader.addressee and n.reader_index == reader.reader_index]
    places = reader.places()
    there = [n for n in hers if n.channel == NoticeChannel.HAND or places.get(n.channel) == n.address_index]
    if any(n.enough and n.state in LIVE for n in there):
        return None
    failed = {(n.channel, n.address_index) for n in there if n.enough and n.state in FAILED}
    left = [(channel, index) for channel, index in places.items() if (channel, index) not in failed]
    channel, index = left[0] if left else (None, None)
    return Due(_why(reader, before, hers, there, bool(failed)), channel, index)


def _why(
    reader: ToTell, before: Collection[Given], hers: Collection[Given], there: Collection[Given], failed: bool
) -> Why:
    if failed:
        return Why.CAME_BACK
    if any(n.state in LIVE for n in there):
        return Why.NEW_TEXT
    if hers:
        return Why.NEW_ADDRESS
    if not before:
        return Why.NEW_PATIENT
    parents = {Addressee.PARENT, Addressee.GUARDIAN}
    grown = reader.addressee == Addressee.SELF and any(n.addressee in parents for n in before)
    return Why.NOW_ADULT if grown else Why.OTHER_READER
