"""What every step of a practice's program works with, and what an earlier one left that is still good."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from portal.gate.extraction import read_statement
from portal.gate.permit import Permit, read_permit
from portal.outside.clock import Clock
from portal.outside.keys import KeyRing, read_public_key
from portal.outside.portal_api import PortalApi
from portal.practice.practice_file import PracticeFile
from portal.practice.work_folder import WorkFolder
from portal.rules.refusals import Refused
from portal.rules.words import Crossing

CLOCKS_APART = timedelta(seconds=30)
"""By how much this machine's clock may be behind the portal's."""

Said = dict[str, Any]
"""What a step did: its `outcome`, and numbers."""


@dataclass(frozen=True, slots=True)
class Practice:
    """What every step works with."""

    file: PracticeFile
    clock: Clock
    work: WorkFolder
    api: PortalApi


def permit_here(p: Practice) -> Permit:
    """The permit that is here, in force. A clock that is a little behind the portal's does not make it early."""
    pinned, now = read_public_key(p.file.portal_key), p.clock.now()
    try:
        permit = read_permit(p.work.permit, pinned, now, crossing=Crossing.EXTRACTION)
    except Refused as no:
        if no.code != "permit_not_yet_valid":
            raise
        permit = read_permit(p.work.permit, pinned, now + CLOCKS_APART, crossing=Crossing.EXTRACTION)
        permit = replace(permit, read_at=permit.terms.not_before)
    if permit.terms.practices != (p.file.practice,):
        raise Refused("permit_of_another", "the permit is not for this practice", where="permit")
    return permit


def key_here(p: Practice) -> Ed25519PrivateKey:
    return KeyRing(p.file.keys).signing_key(p.file.family)


def extracted_here(p: Practice) -> Path | None:
    """The extraction that is here, if it was made by this practice with the permit that is here and in force."""
    try:
        permit = permit_here(p)
        announced = read_statement(p.work.extraction / "extraction.jws", key_here(p).public_key())
    except Refused as no:
        if no.status >= 500:
            raise
        return None
    return p.work.extraction if announced.permit_sha256 == permit.sha256 else None


@contextmanager
def given_up_when_refused(p: Practice) -> Iterator[None]:
    """What is refused for good is deleted here; what failed for another reason waits for the next run."""
    try:
        yield
    except Refused as no:
        if no.status >= 500 or no.status == 429:
            raise
        p.work.clear()
        raise
