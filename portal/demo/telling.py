"""The middle acts: registers come in, patients are told by mail, and some of them say no."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from email.message import EmailMessage
from itertools import cycle

from portal.demo.browser import Browser
from portal.demo.bulk import Practice
from portal.demo.cast import Part, Role
from portal.demo.driver import OBSERVATORY, STUDY, Play
from portal.demo.opening import publish
from portal.demo.registers import Change, first_register, second_register
from portal.flow import govern, notify
from portal.flow.mail_receipt import send_receipts
from portal.flow.paper import make_codes
from portal.flow.register import import_register
from portal.gate.register_row import RegisterRow
from portal.rules.waiting import paris_day
from portal.rules.words import WITHHOLDING, Addressee
from portal.web.letters import render_letter, render_receipt

LETTERS_WITH = "2026-06"
"""The version of the notice with which one practice's letters are printed and posted."""


async def registers_act(p: Play, *, first: bool) -> None:
    """Practices hand in their registers; before the release once more, with what has changed since."""
    handing = [r for r in p.active if first or r.part is not Part.STALE_REGISTER]
    today = paris_day(p.now)
    if first:
        for role in handing:
            p.registers[role.practice.id] = first_register(p.records / role.practice.id, role.practice.id, today)
        _forget_a_key(p)
    else:
        _changes(p, handing, today)
    for done, role in enumerate(handing):
        p.tell("registers come in", done, len(handing))
        practice = role.practice.id
        path = p.stage.folder / "registers" / f"{practice}-{today.isoformat()}.csv"
        p.registers[practice].write(path)
        await import_register(p.stage.means, practice, path, taken_at=p.now, actor=p.by.actor)
        p.story.add("registers", practice_id=practice, file=f"registers/{path.name}", taken_at=p.now)


def _changes(p: Play, handing: Sequence[Role], today: date) -> None:
    changes = cycle(Change)
    for role in handing:
        practice = role.practice.id
        told = frozenset(number for where, number in p.letters if where == practice)
        register = replace(p.registers[practice], day=today)
        change = next(changes) if role.part is Part.FULL else None
        p.registers[practice] = second_register(register, told, today, change) if change else register


def patients_of_two(p: Play) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Who is known to two practices that play in full, under the same national key, and can be written to."""
    at: dict[str, list[tuple[str, str]]] = {}
    for role in p.role_of(Part.FULL):
        for row, _, _ in p.registers[role.practice.id].addressed():
            if row.person_key:
                at.setdefault(row.person_key, []).append((role.practice.id, row.patient_id))
    return sorted((places[0], places[1]) for places in at.values() if len(places) == 2)


def _forget_a_key(p: Play) -> None:
    """One person known by her national key at one practice is known without it at another: a possible match."""
    for (_, _), (practice, number) in patients_of_two(p)[1:2]:
        register = p.registers[practice]
        rows = tuple(replace(row, person_key=None) if row.patient_id == number else row for row in register.rows)
        p.registers[practice] = replace(register, rows=rows)


async def tell_act(p: Play) -> None:
    """Campaigns: first with a text that a material version supersedes, then with one that tells too little, then with
    one that is withdrawn, then with the right one."""
    await publish(p, "2026-01")
    await campaign(p, p.role_of(Part.TEXT_SUPERSEDED), "2026-01")
    await publish(p, "2026-02", material=True)
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
    late = (Part.TOLD_LATE, Part.TOLD_TOO_LITTLE, Part.TEXT_WITHDRAWN, Part.TEXT_SUPERSEDED, Part.NEVER_TOLD)
    await campaign(p, [r for r in p.active if r.part not in late], "2026-06")


async def campaign(p: Play, roles: Sequence[Role], version: str) -> None:
    """The operator starts one campaign a practice at the desk; the worker sends; some addresses do not exist."""
    for done, role in enumerate(roles):
        p.tell("patients are told", done, len(roles))
        register = p.registers[role.practice.id]
        p.refused |= register.addresses(every=29)
        p.bouncing |= register.addresses(every=31) - p.refused
        p.stage.mailbox.refuse = lambda address: "no such mailbox" if address in p.refused else None
        for address in p.bouncing:
            p.stage.mailbox.bounce_later(address)
        async with Browser(p.stage.base) as operator:
            await operator.sign_in("staff", "demo-operator")
            plan = f"/desk/campaigns/plan?practice={role.practice.id}&observatory={OBSERVATORY}"
            await operator.send(plan, "/desk/campaigns")
        while await notify.send_due(p.stage.means, p.stage.post, render_letter):
            pass
        _read_mail(p, role.practice, version)
        printed = version == LETTERS_WITH and role is p.role_of(Part.FULL)[0]
        if printed:
            await _post_letters(p)
        for row, addressee, address in register.by_post():
            _tell_notice(p, role.practice, row, addressee, version, "accepted" if printed else "queued", address)


async def _post_letters(p: Play) -> None:
    """The letters of one practice are printed, kept beside the mails, and taken to the post."""
    while await make_codes(p.stage.means):
        pass
    async with Browser(p.stage.base) as operator:
        await operator.sign_in("staff", "demo-operator")
        await operator.send("/desk/letters", "/desk/letters", observatory=OBSERVATORY)
        folder = p.stage.folder / "letters"
        folder.mkdir(exist_ok=True)
        for kind in ("file", "sheet"):
            content = await operator.download("/desk/letters", f"/desk/letters/1/{kind}")
            (folder / f"letters-1-{kind}.pdf").write_bytes(content)
        day = paris_day(p.now).isoformat()
        await operator.send("/desk/letters", "/desk/letters/1/posted", posted_on=day)


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


def _tell_notice(
    p: Play, practice: Practice, row: RegisterRow, addressee: Addressee, version: str, outcome: str, address: str = ""
) -> None:
    """One notice of the story; with an address, a letter."""
    where = {"address": address} if address else {}
    p.story.add(
        "notices", practice_id=practice.id, patient_id=row.patient_id, addressee=str(addressee),
        channel="post" if address else "email",
        text=f"{OBSERVATORY}-adult-{row.language}-{version}", sent_at=p.now, outcome=outcome,
        email=row.email if addressee is Addressee.SELF else row.representative_email, **where,
    )  # fmt: skip


def _body(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    return str(part.get_content()) if part else ""


async def returns_act(p: Play) -> None:
    p.tell("returned mail is read", 0, 1)
    await notify.read_returns(p.stage.means, p.stage.returns)
    async with Browser(p.stage.base) as operator:
        await operator.sign_in("staff", "demo-operator")
        await operator.send("/desk/letters", "/desk/letters/returned", complete="yes")
    for channel in ("email", "post"):
        p.story.add("returns_read", channel=channel, at=p.now, complete=True)


async def object_act(p: Play, real_now: datetime) -> None:
    """Patients open their link and say no: to everything, to this observatory, one to the practice as a source, two to
    the study; the last takes it back later."""
    objecting = choose_objectors(p)
    for done, ((practice, number), scope) in enumerate(objecting):
        p.tell("patients object", done, len(objecting))
        p.stage.clock.advance_to(p.now + timedelta(minutes=47))
        await say_no(p, practice, number, scope)
    while await send_receipts(p.stage.means, p.stage.post, render_receipt):
        pass
    p.seen_mails = len(p.stage.mailbox.kept.names())
    told = p.story.told["objections"]
    if told:
        p.day(30, real_now)
        back = told[-1]
        token = p.letters[back["practice_id"], back["patient_id"]]
        async with Browser(p.stage.base) as patient:
            await patient.send(f"/o/{token}/withdraw", f"/o/{token}/withdraw")
        back["withdrawn_at"] = p.now
    await _without_a_link(p, {(o["practice_id"], o["patient_id"]) for o in told})


async def _without_a_link(p: Play, objected: set[tuple[str, str]]) -> None:
    """Somebody says no on the telephone, with her name and year of birth; others ask for their rights at the desk."""
    full = [r.practice.id for r in p.role_of(Part.FULL)]
    quiet = [key for key in sorted(p.letters) if key[0] in full and key not in objected]
    async with Browser(p.stage.base) as operator:
        await operator.sign_in("staff", "demo-operator")
        for practice, number in quiet[11:12]:
            row = p.registers[practice].row(number)
            said = {
                "family_name": row.family_name.upper(), "birth_name": "", "given_names": row.given_names,
                "birth": row.birth_date[:4],
            }  # fmt: skip
            await operator.send("/desk/objections", "/desk/objections", **said, channel="phone", scope="everything")
            p.story.add("objections_without_link", **said, scope="everything", at=p.now)
    async with Browser(p.stage.base) as dpo:
        await dpo.sign_in("staff", "demo-dpo")
        for (practice, number), kind in zip(quiet[8::14], WITHHOLDING, strict=False):
            await dpo.send("/desk/requests", "/desk/requests", practice=practice, number=number, kind=str(kind))
            p.story.add("requests", practice_id=practice, patient_id=number, kind=str(kind), at=p.now)


def choose_objectors(p: Play) -> list[tuple[tuple[str, str], str]]:
    """Every fourteenth of those told in the practices that play in full; one who is a patient of two practices; and
    one who has a namesake that may be herself."""
    full = [r.practice.id for r in p.role_of(Part.FULL)]
    told = [key for key in sorted(p.letters) if key[0] in full]
    chosen = [here for here, there in patients_of_two(p) if here in told and there in told][:1]
    chosen += [key for key in told if _has_namesake(p, key, told)][:1]
    chosen += [key for key in told[5::14] if key not in chosen]
    scopes = {3: "practice", 4: "study", 11: "study"}
    return [
        (key, scopes.get(place, "observatory" if place % 3 == 2 else "everything")) for place, key in enumerate(chosen)
    ]


def _has_namesake(p: Play, key: tuple[str, str], told: Sequence[tuple[str, str]]) -> bool:
    """Somebody else told, of the same name and birth date, where not both are known by a national key."""

    def of(place: tuple[str, str]) -> RegisterRow:
        return p.registers[place[0]].row(place[1])

    def who(row: RegisterRow) -> tuple[str, str, str]:
        return row.family_name, row.given_names, row.birth_date

    mine = of(key)
    return any(
        other != key and who(of(other)) == who(mine) and not (mine.person_key and of(other).person_key)
        for other in told
    )


async def say_no(p: Play, practice: str, number: str, scope: str) -> None:
    """A real POST to the served page, with the link read from the received mail."""
    token = p.letters[practice, number]
    async with Browser(p.stage.base) as patient:
        page = f"/o/{token}" if scope == "everything" else f"/o/{token}/part"
        await patient.send(page, f"/o/{token}/object", scope=STUDY if scope == "study" else scope)
    p.story.add("objections", practice_id=practice, patient_id=number, scope=scope, at=p.now, withdrawn_at=None)
