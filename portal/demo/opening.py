"""The opening acts: the observatory is set up, its texts approved, its doctors enrolled and verified."""

import re
from collections.abc import Sequence
from html import unescape
from pathlib import Path
from typing import Any

from portal.demo.browser import Browser
from portal.demo.bulk import Doctor
from portal.demo.cast import Part, Role
from portal.demo.driver import HERE, IDENTITY, OBSERVATORY, STUDY, Play
from portal.demo.people import STAFF
from portal.flow import govern
from portal.flow.sign_in import add_staff
from portal.gate.age import new_identity, recipient_of
from portal.rules.reviewed import NoticeFile, ReviewedFile
from portal.rules.words import Reader
from portal.rules.words import Role as StaffRole


async def govern_act(p: Play) -> None:
    """Staff are invited, the reviewed files loaded, and what they say approved by somebody other than who loaded it."""
    p.tell("the observatory is set up", 0, 4)
    means = p.stage.means
    for family in (f"observatory:{OBSERVATORY}", f"study:{STUDY}"):
        if not means.ring.exists(family):
            means.ring.create(family)
    staff = {}
    for role, (email, _, _) in STAFF.items():
        study = STUDY if role == "recipient" else None
        staff[role] = await add_staff(means, email=email, role=StaffRole(role), study_id=study, actor="system:demo")
    p.operator, p.dpo = staff["operator"], staff["dpo"]
    reviewed = govern.read_reviewed(HERE / "observatory.toml")
    practices = [
        {"id": r.practice.id, "finess": r.practice.finess, "name": r.practice.name, "city": r.practice.city}
        for r in p.roles
    ]
    reviewed = _with_its_key(reviewed, p.stage.folder / IDENTITY)
    await govern.load(means, reviewed, actor=p.operator.actor)
    await _approve_drafts(p)
    await govern.load(means, ReviewedFile.model_validate({"practice": practices}), actor=p.operator.actor)
    for path in sorted((HERE / "texts").glob("agreement-*.toml")):
        await govern.load(means, govern.read_reviewed(path), actor=p.operator.actor)
    _tell_ground(p, reviewed)


def _with_its_key(reviewed: ReviewedFile, identity_file: Path) -> ReviewedFile:
    """The study team makes an identity, keeps it, and hands in its public half."""
    identity = new_identity()
    identity_file.touch(mode=0o600)
    identity_file.write_text(f"# public key: {recipient_of(identity)}\n{identity}\n", encoding="ascii")
    team = reviewed.recipient[0].model_copy(update={"age_recipient": recipient_of(identity)})
    return reviewed.model_copy(update={"recipient": (team, *reviewed.recipient[1:])})


async def _approve_drafts(p: Play) -> None:
    """The DPO reads each draft at the desk and approves it; the page offers first what the others refer to. She also
    reads in the log who was invited."""
    async with Browser(p.stage.base) as dpo:
        await dpo.sign_in("staff", "demo-dpo")
        while actions := re.findall(r"/desk/drafts/\d+/approve", await dpo.read("/desk/drafts")):
            await dpo.send("/desk/drafts", actions[0])
        await dpo.send("/desk/log", "/desk/log/read")


def _tell_ground(p: Play, reviewed: ReviewedFile) -> None:
    observatory, authorisation, study = reviewed.observatory[0], reviewed.authorisation[0], reviewed.study[0]
    p.story.put("observatory", observatory.model_dump(mode="json"))
    p.story.put("authorisation", authorisation.model_dump(mode="json"))
    p.story.put("recipient", reviewed.recipient[0].model_dump(mode="json"))
    p.story.put("study", {**study.model_dump(mode="json"), "listed_at": p.now})
    for role in p.roles:
        p.story.add("practices", id=role.practice.id, finess=role.practice.finess, part=str(role.part))


async def publish(p: Play, version: str, *, without: Sequence[str] = (), material: bool = False) -> None:
    """Load a version of the adult's notice in both languages (told less when `without` columns) and have it approved.
    A material one supersedes the older ones. The other readers' notices come with the version they are written for."""
    notices = [govern.read_reviewed(path).text[0] for path in sorted((HERE / "texts").glob("notice-*.toml"))]
    for given in notices:
        if not isinstance(given, NoticeFile) or (given.reader is not Reader.ADULT and given.version != version):
            continue
        columns = tuple(c for c in given.covers.columns if c not in without)
        covers = given.covers.model_copy(update={"columns": columns})
        text = given.model_copy(update={"version": version, "covers": covers, "material": material})
        await _load_and_approve(p, text)
        if text.reader is Reader.ADULT:
            p.story.add(
                "texts", id=text.id, version=version, language=text.language, approved_at=p.now, withdrawn_at=None,
                material=material, covers=covers.model_dump(mode="json"),
            )  # fmt: skip


async def _load_and_approve(p: Play, text: NoticeFile) -> None:
    if p.operator is None:
        return
    await govern.load(p.stage.means, ReviewedFile(text=(text,)), actor=p.operator.actor)
    async with Browser(p.stage.base) as dpo:
        await dpo.sign_in("staff", "demo-dpo")
        await dpo.send("/desk/texts", f"/desk/texts/{text.id}/approve")


async def enrol_act(p: Play) -> None:
    """Doctors sign in, choose their site and sign; the operator verifies, a day later than some would like."""
    joining = [(r, d) for r in p.roles for d in r.enrolling]
    for done, (role, doctor) in enumerate(joining):
        p.tell("doctors enrol", done, len(joining))
        told = p.story.add(
            "doctors", practice_id=role.practice.id, doctor_id=doctor.id, rpps=doctor.rpps, identified_at=p.now,
            signed_at=None, includes_history=None, verified_at=None, left_at=None,
        )  # fmt: skip
        async with Browser(p.stage.base) as browser:
            await browser.sign_in("doctor", f"f:demo:{doctor.rpps}")
            await browser.send("/doctor/enrol", "/doctor/enrol", site=role.practice.finess)
            if role.part is Part.NOT_SIGNED:
                continue
            history = {} if role.part is Part.NO_HISTORY else {"history": "yes"}
            await browser.send("/doctor/agreement", "/doctor/agreement", read="yes", **history)
            told["signed_at"], told["includes_history"] = p.now, bool(history)
        if role.part is not Part.NOT_VERIFIED:
            await _verify(p, role, doctor, told)


async def _verify(p: Play, role: Role, doctor: Doctor, told: dict[str, Any]) -> None:
    """The operator finds the row of this doctor at this practice, and enters the number the register uses."""
    async with Browser(p.stage.base) as operator:
        await operator.sign_in("staff", "demo-operator")
        page = unescape(await operator.read("/desk/enrolments"))
        row = next(r for r in page.split("<tr") if doctor.family in r and role.practice.name in r and "/verify" in r)
        action = re.findall(r"/desk/enrolments/\d+/verify", row)[0]
        await operator.send("/desk/enrolments", action, doctor_number=doctor.id)
    told["verified_at"] = p.now
