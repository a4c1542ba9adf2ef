"""What the observatory may do: load reviewed files, approve notice texts, withdraw and suspend."""

from datetime import datetime

from portal.flow.means import Means
from portal.flow.review import draft, refuse_own
from portal.gate.toml_file import read_reviewed
from portal.records.accounts import Account
from portal.records.database import Connection, transact
from portal.records.governance import AgreementText, Authorisation, NoticeText, Observatory, Study
from portal.records.ledger import Touch, enter
from portal.records.people import Practice
from portal.rules.conditions import fingerprint
from portal.rules.reading import BARS, notice_reading
from portal.rules.refusals import Refused
from portal.rules.reviewed import AgreementFile, NoticeFile, PracticeFile, ReviewedFile
from portal.rules.words import Role, TextState

__all__ = [
    "approve_text",
    "close_study",
    "load",
    "read_reviewed",
    "suspend_authorisation",
    "too_hard",
    "withdraw_text",
]


async def load(means: Means, reviewed: ReviewedFile, *, actor: str) -> list[str]:
    """Take in what the file says; returns the ids that changed. Loading again changes nothing.

    Observatories, recipients, authorisations, studies and notice texts become drafts, which count for nothing until
    a second person approves them (flow/review.py). RefusedFile, and nothing is written, when a study asks for more
    than its authorisation gives: every difference is a problem of its own. A published text is never changed: give
    it a new version.
    """
    return await transact(lambda c: _load(c, means, reviewed, actor))


def too_hard(reviewed: ReviewedFile) -> list[str]:
    """A warning for each notice that is harder to read than its reader's bar: it is taken in all the same."""
    found = []
    for text in reviewed.text:
        if isinstance(text, NoticeFile):
            measured = notice_reading(text.model_dump())
            if not measured.within(BARS[text.reader]):
                found.append(f"{text.id} is hard to read: {measured}. For this reader, at most {BARS[text.reader]}")
    return found


async def _load(c: Connection, means: Means, reviewed: ReviewedFile, actor: str) -> list[str]:
    now = await means.now(c)
    changed = await draft(c, reviewed, actor=actor, now=now)
    for practice in reviewed.practice:
        changed += await _load_practice(c, practice, actor, now)
    for text in reviewed.text:
        if not await Observatory.exists(id=text.observatory):
            where = reviewed.place("observatory")
            raise Refused("unknown_observatory", "no approved observatory has this id: load it first", where=where)
        if isinstance(text, NoticeFile):
            changed += await _load_notice(c, text, actor, now)
        else:
            changed += await _load_agreement(c, text, actor, now)
    return changed


async def _load_practice(c: Connection, file: PracticeFile, actor: str, now: datetime) -> list[str]:
    """A practice counts at once: nothing passes there before a doctor has enrolled and was verified."""
    found = await Practice.get_or_none(id=file.id)
    values = file.model_dump()
    if found is not None and all(getattr(found, name) == value for name, value in values.items()):
        return []
    touches: list[Touch] = [("practice", file.id)]
    entry = await enter(c, "practice_loaded", actor=actor, at=now, touches=touches, summary=file.id)
    await Practice.update_or_create(defaults={**values, "entry_id": entry}, id=file.id)
    return [file.id]


async def _load_agreement(c: Connection, file: AgreementFile, actor: str, now: datetime) -> list[str]:
    body = file.model_dump(mode="json", exclude={"observatory", "language", "version", "grace_until"})
    sha256 = fingerprint(body)
    name = f"agreement {file.version} {file.language}"
    found = await AgreementText.get_or_none(
        observatory_id=file.observatory, version=file.version, language=file.language
    )
    if found is not None and found.sha256 == sha256:
        return []
    if found is not None:
        raise Refused("text_is_immutable", "an agreement that was loaded never changes: give it a new version")
    touches: list[Touch] = [("observatory", file.observatory)]
    entry = await enter(c, "agreement_loaded", actor=actor, at=now, touches=touches, summary=name)
    await AgreementText.create(
        observatory_id=file.observatory,
        version=file.version,
        language=file.language,
        body=body,
        sha256=sha256,
        grace_until=file.grace_until,
        entry_id=entry,
    )
    return [name]


async def _load_notice(c: Connection, file: NoticeFile, actor: str, now: datetime) -> list[str]:
    plain = {"observatory", "language", "version", "reader"} | (set() if file.material else {"material"})
    body = file.model_dump(mode="json", exclude=plain)  # texts that were loaded before the flag keep their hash
    sha256 = fingerprint(body)
    found = await NoticeText.get_or_none(id=file.id)
    if found is not None and found.sha256 == sha256:
        return []
    if found is not None and found.state != TextState.DRAFT:
        raise Refused("text_is_immutable", "a published notice text never changes: give it a new version")
    entry = await enter(c, "notice_text_loaded", actor=actor, at=now, touches=[("text", file.id)], summary=file.id)
    await NoticeText.update_or_create(
        defaults={
            "observatory_id": file.observatory,
            "version": file.version,
            "language": file.language,
            "reader": file.reader,
            "body": body,
            "sha256": sha256,
            "state": TextState.DRAFT,
            "author": actor,
            "entry_id": entry,
        },
        id=file.id,
    )
    return [file.id]


async def approve_text(means: Means, text_id: str, *, by: Account) -> None:
    """A DPO publishes a draft that somebody else wrote. From then on it never changes."""

    if by.role != Role.DPO:
        raise Refused("other_role", "a DPO approves texts", status=403)

    async def step(c: Connection) -> None:
        now = await means.now(c)
        entry = await enter(
            c, "notice_text_approved", actor=by.actor, at=now, touches=[("text", text_id)], summary=text_id
        )
        text = await NoticeText.get_or_none(id=text_id)
        if text is None:
            raise Refused("unknown_text", "there is no such notice text", status=404)
        if text.state != TextState.DRAFT:
            raise Refused("not_a_draft", "this text is already published or withdrawn")
        await refuse_own(by, text.author, "own_text", "a text is approved by somebody other than its author")
        if fingerprint(text.body) != text.sha256:
            raise Refused("text_altered", "the stored text is not the one that was loaded: load it again")
        text.state, text.approved_by, text.approved_at = TextState.PUBLISHED, by.actor, now
        text.entry_id = entry
        await text.save()
        await _supersede(text, now)

    await transact(step)


async def _supersede(approved: NoticeText, now: datetime) -> None:
    """From the approval of a material version on, every older version counts no more, whatever its language (G52).

    A text that is approved after a newer material version was is superseded from the start.
    """
    published = await NoticeText.filter(observatory_id=approved.observatory_id, state=TextState.PUBLISHED)
    newest = max((t.version for t in published if t.body.get("material")), default="")
    for text in published:
        if text.version < newest and text.superseded_at is None:
            text.superseded_at = now
            await text.save()


async def withdraw_text(means: Means, text_id: str, *, by: Account) -> None:
    """From now on notices with this text count for nothing (G51)."""

    async def step(c: Connection) -> None:
        now = await means.now(c)
        await enter(c, "notice_text_withdrawn", actor=by.actor, at=now, touches=[("text", text_id)], summary=text_id)
        if not await NoticeText.filter(id=text_id, state=TextState.PUBLISHED).update(state=TextState.WITHDRAWN):
            raise Refused("not_published", "only a published text can be withdrawn")

    await transact(step)


async def suspend_authorisation(means: Means, authorisation_id: str, *, by: Account) -> None:
    """From now on nothing passes under this authorisation (G03), also what was approved before."""

    async def step(c: Connection) -> None:
        now = await means.now(c)
        touches: list[Touch] = [("authorisation", authorisation_id)]
        await enter(c, "authorisation_suspended", actor=by.actor, at=now, touches=touches, summary=authorisation_id)
        if not await Authorisation.filter(id=authorisation_id, suspended_at=None).update(suspended_at=now):
            raise Refused("unknown_authorisation", "there is no such authorisation in force", status=404)

    await transact(step)


async def close_study(means: Means, study_id: str, *, by: Account) -> None:
    """From now on nothing passes for this study (G05), also what was approved before. It is never opened again."""

    async def step(c: Connection) -> None:
        now = await means.now(c)
        await enter(c, "study_closed", actor=by.actor, at=now, touches=[("study", study_id)], summary=study_id)
        if not await Study.filter(id=study_id, closed_at=None).update(closed_at=now):
            raise Refused("unknown_study", "there is no such study that is open", status=404)

    await transact(step)
