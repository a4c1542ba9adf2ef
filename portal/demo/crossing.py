"""The last acts: practices extract, a doctor leaves, a release is prepared, approved, sealed and fetched."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path

from portal.demo.browser import Browser
from portal.demo.cast import Part
from portal.demo.driver import OBSERVATORY, STUDY, Play
from portal.demo.telling import say_no
from portal.flow.decide import Asked, PatientVerdict, verdicts
from portal.flow.permit import Issued, issue
from portal.flow.receive import Received, receive, register_practice_key
from portal.gate.filtering import Counts, filter_extraction
from portal.gate.permit import read_permit
from portal.outside.keys import KeyRing
from portal.rules.waiting import PARIS
from portal.rules.words import Crossing


async def extract_act(p: Play) -> None:
    """Permit, filter at the practice's computer, arrival. Between the two one more patient says no."""
    interrupting = True
    for done, role in enumerate(p.active):
        p.tell("practices extract", done, len(p.active))
        practice = role.practice.id
        folder = p.stage.folder / "practices" / practice
        keys = KeyRing(folder / "keys")
        keys.create(f"practice:{practice}")
        operator = p.by
        await register_practice_key(p.stage.means, practice, keys.public_key(f"practice:{practice}"), by=operator)
        if not p.at_permit:
            p.at_permit = await _verdicts(p, Asked(OBSERVATORY))
        told = p.story.add("extractions", practice_id=practice, permit_at=p.now, received_at=None)
        await _permit(p, practice, folder)
        await asyncio.to_thread(_filter, p, practice, folder, keys)
        if interrupting and role.part is Part.FULL and (number := _passing(p, practice)):
            interrupting = False
            p.stage.clock.advance_to(p.now + timedelta(minutes=5))
            await say_no(p, practice, number, "everything")
        await _receive(p, practice, folder)
        told["received_at"] = p.now
    p.at_arrival = await _verdicts(p, Asked(OBSERVATORY))


async def _permit(p: Play, practice: str, folder: Path) -> Issued:
    issued = await issue(
        p.stage.means, observatory_id=OBSERVATORY, practice_id=practice, by=p.by, out=folder / "permit"
    )
    key = p.stage.means.ring.public_key()
    p.permits[practice] = read_permit(folder / "permit", key, p.now, crossing=Crossing.EXTRACTION)
    return issued


def _filter(p: Play, practice: str, folder: Path, keys: KeyRing) -> Counts:
    key = keys.signing_key(f"practice:{practice}")
    return filter_extraction(p.permits[practice], p.records / practice, folder / "extraction", practice_key=key)


async def _receive(p: Play, practice: str, folder: Path) -> Received:
    return await receive(p.stage.means, folder / "extraction", practice_id=practice, actor=p.by.actor)


def _passing(p: Play, practice: str) -> str | None:
    """A patient told by mail who passed at the permit, and could still change her mind."""
    numbers = sorted(number for pr, number in p.letters if pr == practice)
    return next((n for n in numbers if not p.at_permit[practice, n].reasons), None)


async def _verdicts(p: Play, asked: Asked) -> dict[tuple[str, str], PatientVerdict]:
    _, found = await verdicts(p.stage.means, asked)
    return {(v.practice_id, v.number): v for v in found}


async def leave_act(p: Play) -> None:
    """One doctor leaves, in one click; another patient says no after her records have reached the store."""
    for role in p.role_of(Part.LEAVES):
        for doctor in role.enrolling:
            async with Browser(p.stage.base) as browser:
                await browser.sign_in("doctor", f"f:demo:{doctor.rpps}")
                await browser.send("/doctor/leave", "/doctor/leave")
            for told in p.story.told["doctors"]:
                if told["doctor_id"] == doctor.id and told["practice_id"] == role.practice.id:
                    told["left_at"] = p.now
    for role in p.role_of(Part.FULL)[1:2]:
        number = _passing(p, role.practice.id)
        if number:
            await say_no(p, role.practice.id, number, "observatory")


async def prepare_act(p: Play) -> None:
    """The operator prepares, the DPO approves."""
    p.tell("the release is prepared", 0, 4)
    async with Browser(p.stage.base) as operator, Browser(p.stage.base) as dpo:
        await operator.sign_in("staff", "demo-operator")
        await dpo.sign_in("staff", "demo-dpo")
        prepared = p.now
        page = await operator.send("/desk/releases", "/desk/releases", study=STUDY)
        p.release_id = re.findall(rf"{STUDY}-\d{{8}}-\d\d", page)[0]
        p.tell("the release is approved", 1, 4)
        await dpo.send(f"/desk/releases/{p.release_id}", f"/desk/releases/{p.release_id}/approve")
    year = prepared.astimezone(PARIS).year
    p.story.put("release", {"id": p.release_id, "prepared_at": prepared, "approved_at": p.now, "reference_year": year})


async def finish_release(p: Play) -> None:
    """A patient says no, the seal's second look takes her out, the recipient downloads."""
    p.tell("a patient objects", 2, 4)
    for role in p.role_of(Part.FULL)[2:3]:
        number = _passing(p, role.practice.id)
        if number:
            await say_no(p, role.practice.id, number, "everything")
    p.tell("the release is sealed", 3, 4)
    page = f"/desk/releases/{p.release_id}"
    async with Browser(p.stage.base) as operator, Browser(p.stage.base) as recipient:
        await operator.sign_in("staff", "demo-operator")
        await operator.send(page, f"{page}/seal")
        p.story.told["release"]["sealed_at"] = p.now
        await recipient.sign_in("staff", "demo-recipient")
        await recipient.download("/recipient", f"/recipient/releases/{p.release_id}/download")
    p.story.put("as_of", p.now)
