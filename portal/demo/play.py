"""The play: eighty days of an observatory, from the first sign-in to a verified release, through its own doors.

Doctors, staff and patients act over HTTP; mail goes over SMTP; the worker and the practices' computers run here.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.message import EmailMessage
from html import unescape
from itertools import cycle
from pathlib import Path
from typing import Any

from portal.demo.browser import Browser
from portal.demo.bulk import Doctor, Practice
from portal.demo.cast import Part, Role
from portal.demo.people import STAFF
from portal.demo.registers import Change, Register, first_register, second_register
from portal.demo.stage import Stage
from portal.demo.story import Story
from portal.flow import govern, notify
from portal.flow.decide import Asked, PatientVerdict, verdicts
from portal.flow.permit import Issued, issue
from portal.flow.receive import Received, receive, register_practice_key
from portal.flow.register import import_register
from portal.flow.sign_in import add_staff
from portal.gate.filtering import Counts, filter_extraction
from portal.gate.permit import Permit, read_permit
from portal.outside.keys import KeyRing
from portal.records.accounts import Account
from portal.rules.reviewed import NoticeFile, ReviewedFile
from portal.rules.waiting import PARIS
from portal.rules.words import Addressee, Crossing
from portal.rules.words import Role as StaffRole
from portal.web.letters import render_letter

OBSERVATORY, STUDY = "demo", "long-treatments"
HERE = Path(__file__).parent
DAYS = 80
"""How far back the play begins: thirty days on the transparency page, thirty of reflection, and what comes between."""

Tell = Callable[[str, int, int], None]
"""Progress: what is going on, how much of it is done, of how much."""


@dataclass
class Play:
    """What the driver knows while it plays. `letters`: the mail of each patient told, by practice and number."""

    stage: Stage
    roles: Sequence[Role]
    records: Path
    tell: Tell
    story: Story = field(default_factory=Story)
    operator: Account | None = None
    dpo: Account | None = None
    registers: dict[str, Register] = field(default_factory=dict)
    letters: dict[tuple[str, str], str] = field(default_factory=dict)
    seen_mails: int = 0
    refused: set[str] = field(default_factory=set)
    bouncing: set[str] = field(default_factory=set)
    at_permit: dict[tuple[str, str], PatientVerdict] = field(default_factory=dict)
    at_arrival: dict[tuple[str, str], PatientVerdict] = field(default_factory=dict)
    permits: dict[str, Permit] = field(default_factory=dict)
    release_id: str = ""

    @property
    def now(self) -> datetime:
        return self.stage.clock.now()

    def day(self, number: float, real_now: datetime) -> None:
        """Move to so many days before the real now."""
        self.stage.clock.advance_to(real_now - timedelta(days=number))

    def role_of(self, part: Part) -> list[Role]:
        return [r for r in self.roles if r.part is part]

    @property
    def active(self) -> list[Role]:
        return [r for r in self.roles if r.active]


async def before_release(p: Play, real_now: datetime) -> None:
    """All acts up to a prepared and approved release; `real_now` is when the clock is let go."""
    p.day(DAYS, real_now)
    await govern_act(p)
    p.day(DAYS - 1, real_now)
    await enrol_act(p)
    p.day(DAYS - 3, real_now)
    await registers_act(p, first=True)
    p.day(DAYS - 4, real_now)
    await tell_act(p)
    p.day(DAYS - 10, real_now)
    await returns_act(p)
    p.day(60, real_now)
    await object_act(p, real_now)
    p.day(20, real_now)
    await campaign(p, [r for r in p.roles if r.part is Part.TOLD_LATE], "2026-06")
    p.day(12, real_now)
    await returns_act(p)
    p.day(3, real_now)
    await registers_act(p, first=False)
    p.day(2, real_now)
    await returns_act(p)
    await extract_act(p)
    p.day(1, real_now)
    await leave_act(p)
    p.stage.clock.advance_to(real_now)
    p.stage.clock.release()
    await prepare_act(p)


# --- the acts ------------------------------------------------------------------------------------------------------


async def govern_act(p: Play) -> None:
    """Staff are invited, the reviewed files loaded, the texts approved by somebody other than their author."""
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
    await govern.load(means, reviewed, actor=p.operator.actor)
    await govern.load(means, ReviewedFile.model_validate({"practice": practices}), actor=p.operator.actor)
    for path in sorted((HERE / "texts").glob("agreement-*.toml")):
        await govern.load(means, govern.read_reviewed(path), actor=p.operator.actor)
    _tell_ground(p, reviewed)


def _tell_ground(p: Play, reviewed: ReviewedFile) -> None:
    observatory, authorisation, study = reviewed.observatory[0], reviewed.authorisation[0], reviewed.study[0]
    p.story.put("observatory", observatory.model_dump(mode="json"))
    p.story.put("authorisation", authorisation.model_dump(mode="json"))
    p.story.put("recipient", reviewed.recipient[0].model_dump(mode="json"))
    p.story.put("study", {**study.model_dump(mode="json"), "listed_at": p.now})
    for role in p.roles:
        p.story.add("practices", id=role.practice.id, finess=role.practice.finess, part=str(role.part))


async def publish(p: Play, version: str, *, without: Sequence[str] = ()) -> None:
    """Load a version of the notice in both languages (told less when `without` columns) and have it approved."""
    for language in ("fr", "en"):
        given = govern.read_reviewed(HERE / "texts" / f"notice-adult-{language}.toml").text[0]
        if not isinstance(given, NoticeFile) or p.operator is None:
            continue
        columns = tuple(c for c in given.covers.columns if c not in without)
        covers = given.covers.model_copy(update={"columns": columns})
        text = given.model_copy(update={"version": version, "covers": covers})
        await govern.load(p.stage.means, ReviewedFile(text=(text,)), actor=p.operator.actor)
        async with Browser(p.stage.base) as dpo:
            await dpo.sign_in("staff", "demo-dpo")
            await dpo.send("/desk/texts", f"/desk/texts/{text.id}/approve")
        p.story.add(
            "texts", id=text.id, version=version, language=language, approved_at=p.now, withdrawn_at=None,
            covers=covers.model_dump(mode="json"),
        )  # fmt: skip


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


async def registers_act(p: Play, *, first: bool) -> None:
    """Practices hand in their registers; before the release once more, with what has changed since."""
    handing = [r for r in p.active if first or r.part is not Part.STALE_REGISTER]
    changes = cycle(Change)
    for done, role in enumerate(handing):
        p.tell("registers come in", done, len(handing))
        practice = role.practice.id
        today = p.now.date()
        if first:
            register = first_register(p.records / practice, practice, today)
        else:
            told = frozenset(number for where, number in p.letters if where == practice)
            register = replace(p.registers[practice], day=today)
            if role.part is Part.FULL:
                register = second_register(p.registers[practice], told, today, next(changes))
        p.registers[practice] = register
        path = p.stage.folder / "registers" / f"{practice}-{today.isoformat()}.csv"
        register.write(path)
        await import_register(p.stage.means, practice, path, taken_at=p.now, actor=_actor(p))
        p.story.add("registers", practice_id=practice, file=f"registers/{path.name}", taken_at=p.now)


async def tell_act(p: Play) -> None:
    """Campaigns: first with a text that tells too little, then with one that is withdrawn, then with the right one."""
    await publish(p, "2026-03", without=("diagnosis",))
    await campaign(p, p.role_of(Part.TOLD_TOO_LITTLE), "2026-03")
    await publish(p, "2026-04")
    await campaign(p, p.role_of(Part.TEXT_WITHDRAWN), "2026-04")
    for language in ("fr", "en"):
        name = f"{OBSERVATORY}-adult-{language}-2026-04"
        if p.dpo is not None:
            await govern.withdraw_text(p.stage.means, name, by=p.dpo)
    for text in p.story.told["texts"]:
        if text["version"] == "2026-04":
            text["withdrawn_at"] = p.now
    await publish(p, "2026-06")
    late = (Part.TOLD_LATE, Part.TOLD_TOO_LITTLE, Part.TEXT_WITHDRAWN, Part.NEVER_TOLD)
    await campaign(p, [r for r in p.active if r.part not in late], "2026-06")


async def campaign(p: Play, roles: Sequence[Role], version: str) -> None:
    """The operator starts one campaign a practice at the desk; the worker sends; some addresses do not exist."""
    for done, role in enumerate(roles):
        p.tell("patients are told", done, len(roles))
        register = p.registers[role.practice.id]
        p.refused |= register.addresses(every=17)
        p.bouncing |= register.addresses(every=19) - p.refused
        p.stage.mailbox.refuse = lambda address: "no such mailbox" if address in p.refused else None
        for address in p.bouncing:
            p.stage.mailbox.bounce_later(address)
        async with Browser(p.stage.base) as operator:
            await operator.sign_in("staff", "demo-operator")
            await operator.send(
                "/desk/campaigns", "/desk/campaigns", practice=role.practice.id, observatory=OBSERVATORY
            )
        while await notify.send_due(p.stage.means, p.stage.post, render_letter):
            pass
        _read_mail(p, role.practice, version)


def _read_mail(p: Play, practice: Practice, version: str) -> None:
    """Who got what: read from the mails themselves, and from the addresses that the mailbox refused."""
    register = p.registers[practice.id]
    names = p.stage.mailbox.kept.names()[p.seen_mails :]
    p.seen_mails += len(names)
    for name in names:
        message = p.stage.mailbox.kept.read(name)
        text = _body(message)
        for row, addressee, address in register.addressed():
            if address == message["To"] and row.given_names in text:
                bounces = address in p.bouncing
                link = re.search(r"/o/([\w-]{43})", text)
                p.letters[practice.id, row.patient_id] = link[1] if link else ""
                _tell_notice(p, practice, row, addressee, version, "bounced" if bounces else "accepted")
    for row, addressee, address in register.addressed():
        if address in p.refused:
            _tell_notice(p, practice, row, addressee, version, "refused")


def _tell_notice(p: Play, practice: Practice, row: Any, addressee: Addressee, version: str, outcome: str) -> None:
    p.story.add(
        "notices", practice_id=practice.id, patient_id=row.patient_id, addressee=str(addressee), channel="email",
        text=f"{OBSERVATORY}-adult-{row.language}-{version}", sent_at=p.now, outcome=outcome,
        email=row.email if addressee is Addressee.SELF else row.representative_email,
    )  # fmt: skip


def _body(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    return str(part.get_content()) if part else ""


async def returns_act(p: Play) -> None:
    p.tell("returned mail is read", 0, 1)
    await notify.read_returns(p.stage.means, p.stage.returns)
    p.story.add("returns_read", at=p.now, complete=True)


async def object_act(p: Play, real_now: datetime) -> None:
    """Patients open their link and say no: to everything, or to this observatory; one takes it back later."""
    objecting = choose_objectors(p)
    for done, ((practice, number), scope) in enumerate(objecting):
        p.tell("patients object", done, len(objecting))
        p.stage.clock.advance_to(p.now + timedelta(minutes=47))
        await say_no(p, practice, number, scope)
    told = p.story.told["objections"]
    if told:
        p.day(30, real_now)
        back = told[0]
        token = p.letters[back["practice_id"], back["patient_id"]]
        async with Browser(p.stage.base) as patient:
            await patient.send(f"/o/{token}/withdraw", f"/o/{token}/withdraw")
        back["withdrawn_at"] = p.now


def choose_objectors(p: Play) -> list[tuple[tuple[str, str], str]]:
    """Every fourteenth of those told in the practices that play in full, and one who has a namesake without a key."""
    full = [r.practice.id for r in p.role_of(Part.FULL)]
    told = [key for key in sorted(p.letters) if key[0] in full]
    chosen = told[5::14]
    everybody = [((where, row.patient_id), row) for where, r in sorted(p.registers.items()) for row in r.rows]
    twin = next(
        (key for key in told for other, row in everybody
         if other != key and _namesakes(p.registers[key[0]].row(key[1]), row)),
        None,
    )  # fmt: skip
    if twin and twin not in chosen:
        chosen.append(twin)
    return [(key, "observatory" if place % 3 == 2 else "everything") for place, key in enumerate(chosen)]


def _namesakes(one: Any, other: Any) -> bool:
    same = (one.family_name, one.given_names, one.birth_date) == (
        other.family_name,
        other.given_names,
        other.birth_date,
    )
    return same and not (one.person_key and other.person_key)


async def say_no(p: Play, practice: str, number: str, scope: str) -> None:
    """A real POST to the served page, with the link read from the received mail."""
    token = p.letters[practice, number]
    async with Browser(p.stage.base) as patient:
        page = f"/o/{token}" if scope == "everything" else f"/o/{token}/part"
        await patient.send(page, f"/o/{token}/object", scope=scope)
    p.story.add("objections", practice_id=practice, patient_id=number, scope=scope, at=p.now, withdrawn_at=None)


async def extract_act(p: Play) -> None:
    """Permit, filter at the practice's computer, arrival. Between the two one more patient says no."""
    interrupting = True
    for done, role in enumerate(p.active):
        p.tell("practices extract", done, len(p.active))
        practice = role.practice.id
        folder = p.stage.folder / "practices" / practice
        keys = KeyRing(folder / "keys")
        keys.create(f"practice:{practice}")
        operator = _operator(p)
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
        p.stage.means, observatory_id=OBSERVATORY, practice_id=practice, by=_operator(p), out=folder / "permit"
    )
    key = p.stage.means.ring.public_key()
    p.permits[practice] = read_permit(folder / "permit", key, p.now, crossing=Crossing.EXTRACTION)
    return issued


def _filter(p: Play, practice: str, folder: Path, keys: KeyRing) -> Counts:
    key = keys.signing_key(f"practice:{practice}")
    return filter_extraction(p.permits[practice], p.records / practice, folder / "extraction", practice_key=key)


async def _receive(p: Play, practice: str, folder: Path) -> Received:
    return await receive(p.stage.means, folder / "extraction", practice_id=practice, actor=_actor(p))


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


def _operator(p: Play) -> Account:
    if p.operator is None:
        raise RuntimeError("the operator comes in the first act")
    return p.operator


def _actor(p: Play) -> str:
    return _operator(p).actor
