"""What comes back: the return mailbox, read whole, and the delivery reports in it (RFC 3464, RFC 6533).

The reference is in the address that the report came to. An out-of-office note is no return. A reading that
could not see everything says so, because silence counts only after a complete one.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email import message_from_string
from email.message import Message
from mailbox import Error as MailboxError
from mailbox import Maildir
from pathlib import Path
from typing import BinaryIO, Protocol

from portal.outside.bounces import Kind, decoded, read_report

LARGEST_READ = 1_000_000
_MESSAGE_ID = re.compile(r"\s*<([\w.-]{1,40})@")
_ARRIVED_AT = ("delivered-to", "x-original-to", "envelope-to", "to")


@dataclass(frozen=True, slots=True)
class Return:
    """One report. `permanent`: the address itself is bad. FAILED without it: not delivered, may be sent again."""

    reference: str
    permanent: bool
    kind: Kind

    @property
    def undelivered(self) -> bool:
        """The notice cannot count as delivered: given up, or in a form that nobody understands."""
        return self.kind is not Kind.DELAYED


@dataclass(frozen=True, slots=True)
class Reading:
    """`keys` are the messages seen, for `mark_done`; `unattributed` counts reports that name no notice."""

    messages: tuple[Return, ...]
    keys: tuple[str, ...]
    unattributed: int
    complete: bool


class ReturnMailbox(Protocol):
    def read(self) -> Reading:
        """All that is not marked done; the same messages again until they are."""

    def mark_done(self, keys: Iterable[str]) -> None:
        """Call after what was read is committed. Harmless when repeated, or when another worker was first."""


class MaildirReturns:
    """A Maildir. Unseen messages are those in `new/`, and those in `cur/` without the flag S."""

    def __init__(self, folder: Path, returns_address: str) -> None:
        self._folder, self._reference = folder, _reference_pattern(returns_address)

    def read(self) -> Reading:
        found: list[Return] = []
        keys: list[str] = []
        unattributed, complete = 0, True
        try:
            unseen = list(self._unseen())
        except OSError:
            return Reading((), (), 0, complete=False)
        for path in unseen:
            try:
                with path.open("rb") as file:
                    content = file.read(LARGEST_READ)
            except FileNotFoundError:
                continue  # another worker has just marked it done
            except OSError:
                complete = False
                continue
            keys.append(_key(path))
            report = read_report(content)
            if report is None:
                continue
            if reference := self._reference_of(report.message):
                found.append(Return(reference, report.permanent, report.kind))
            else:
                unattributed += 1
        return Reading(tuple(found), tuple(keys), unattributed, complete)

    def keep(self, content: BinaryIO) -> None:
        """Put a message in, as a mail server hands it over: it is there whole, on the disk, or not at all. OSError when
        it cannot be."""
        try:
            Maildir(self._folder, create=False).add(content)
        except MailboxError as error:
            raise OSError(str(error)) from None
        names = os.open(self._folder / "new", os.O_RDONLY)
        try:
            os.fsync(names)
        finally:
            os.close(names)

    def mark_done(self, keys: Iterable[str]) -> None:
        wanted = list(keys)
        by_key = {_key(path): path for path in self._unseen()} if wanted else {}
        for key in wanted:
            if (path := by_key.get(key)) is not None:
                flags = sorted({*path.name.partition(":2,")[2], "S"})
                try:
                    path.rename(self._folder / "cur" / f"{key}:2,{''.join(flags)}")
                except FileNotFoundError:
                    continue  # another worker was first

    def _unseen(self) -> Iterator[Path]:
        for name in sorted(os.listdir(self._folder / "new")):
            yield self._folder / "new" / name
        for name in sorted(os.listdir(self._folder / "cur")):
            if "S" not in name.partition(":2,")[2]:
                yield self._folder / "cur" / name

    def _reference_of(self, message: Message) -> str | None:
        """From the address it arrived at, else from the Message-ID of the notice that the report quotes."""
        for name in _ARRIVED_AT:
            for value in message.get_all(name, []):
                if found := self._reference.search(str(value)):
                    return found["ref"].lower()
        return _quoted_reference(message)


def _quoted_reference(message: Message) -> str | None:
    """The reference in the Message-ID of a quoted notice: its headers alone, or the whole of it."""
    for part in message.walk():
        quoted = part
        if part.get_content_type() == "text/rfc822-headers":
            quoted = message_from_string(decoded(str(part.get_payload()), ""))
        found = _MESSAGE_ID.match(str(quoted.get("Message-ID", "")))
        if found and quoted is not message:
            return found[1]
    return None


def _reference_pattern(returns_address: str) -> re.Pattern[str]:
    before, _, after = returns_address.partition("{ref}")
    return re.compile(
        rf"(?<![\w.+-]){re.escape(before)}(?P<ref>[A-Za-z0-9][\w.-]{{0,39}}){re.escape(after)}(?![\w.-])", re.I
    )


def _key(path: Path) -> str:
    return path.name.partition(":2,")[0]
