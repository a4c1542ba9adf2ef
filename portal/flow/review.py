"""What a reviewed file says of an object is a draft until a second person approves it at the desk.

The approved version counts until the new one is approved. What closes (a suspension, the end of a study) does not
wait for anybody: see flow/govern.py.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from tortoise.models import Model

from portal.flow.means import Means
from portal.flow.sign_in import same_human
from portal.records.accounts import Account
from portal.records.database import Connection, transact
from portal.records.drafts import COLUMN_OF, KINDS, ReviewedDraft, body_of, counting, waiting
from portal.records.governance import Authorisation, Recipient, Study
from portal.records.ledger import enter
from portal.rules.conditions import fingerprint
from portal.rules.fitting import Standing, misfits
from portal.rules.refusals import Problem, Refused, RefusedFile
from portal.rules.reviewed import Governed, RecipientFile, ReviewedFile, StudyFile
from portal.rules.waiting import paris_day
from portal.rules.words import DraftState, Role


async def draft(c: Connection, reviewed: ReviewedFile, *, actor: str, now: datetime) -> list[str]:
    """The drafts of a file that is being loaded; the ids of those that are new. RefusedFile for what does not fit.

    What the file refers to may itself still wait; the approval looks again at what counts then.
    """
    counts, drafts = await counting(), {(d.kind, d.ref): d for d in await waiting()}
    standing = {**await without_suspended(counts), **{key: d.body for key, d in drafts.items()}}
    if problems := misfits(reviewed, standing, paris_day(now)):
        raise RefusedFile(problems)
    changed: list[str] = []
    for kind, _, each in reviewed.governed():
        there, body = drafts.get((kind, each.id)), each.model_dump(mode="json")
        counts_already = counts.get((kind, each.id)) == body
        if _is_there(there, body, actor) if there else counts_already:
            continue
        entry = await enter(c, f"{kind}_loaded", actor=actor, at=now, touches=[("draft", each.id)], summary=each.id)
        await _settle_others(kind, each.id, DraftState.REPLACED, actor, now)
        if not counts_already:
            await ReviewedDraft.create(
                kind=kind,
                ref=each.id,
                body=body,
                sha256=fingerprint(body),
                state=DraftState.WAITING,
                loaded_at=now,
                loaded_by=actor,
                entry_id=entry,
            )
        changed.append(each.id)
    return changed


def _is_there(there: ReviewedDraft, body: dict[str, Any], actor: str) -> bool:
    """A draft that nobody in person has loaded waits for somebody who does."""
    return there.sha256 == fingerprint(body) and (there.loaded_by == actor or account_number(there.loaded_by) > 0)


async def _settle_others(kind: str, ref: str, state: DraftState, actor: str, now: datetime) -> None:
    await ReviewedDraft.filter(kind=kind, ref=ref, state=DraftState.WAITING).update(
        state=state, settled_at=now, settled_by=actor
    )


async def without_suspended(counts: Standing) -> dict[tuple[str, str], Any]:
    """What counts, without the authorisations that give nothing any more."""
    suspended = {("authorisation", a.id) for a in await Authorisation.exclude(suspended_at=None)}
    return {key: body for key, body in counts.items() if key not in suspended}


async def approve(means: Means, draft_id: int, *, by: Account, second_factor: bool) -> None:
    """A DPO in a second-factor session, who is not the human who loaded it, makes a draft count from now on.

    RefusedFile when it does not fit what counts now. A study whose conditions have changed begins its time on the
    transparency page anew, and so does each study of a recipient that is not the one it was listed with.
    """

    async def step(c: Connection) -> None:
        now = await means.now(c)
        entry = await enter(c, f"{kind}_approved", actor=by.actor, at=now, touches=[(kind, ref)], summary=ref)
        settled = await ReviewedDraft.filter(id=draft_id, state=DraftState.WAITING).update(
            state=DraftState.APPROVED, settled_at=now, settled_by=by.actor
        )
        if not settled:
            raise Refused("draft_settled", "this draft is already settled: look at the list again")
        file = await _checked(draft_id, now)
        await _settle_others(kind, ref, DraftState.REPLACED, by.actor, now)
        await _put(kind, file, entry, now)

    if by.role != Role.DPO or not second_factor:
        raise Refused("G09", "a DPO, signed in with a second factor, approves what a file loads", status=403)
    found = await _found(draft_id)
    kind, ref = found.kind, found.ref
    await refuse_own(by, found.loaded_by, "own_draft", "who loaded a file does not approve what it says")
    await transact(step)


async def refuse(means: Means, draft_id: int, *, by: Account) -> None:
    """A draft that is not to count is put away; what counted before goes on counting."""

    async def step(c: Connection) -> None:
        now = await means.now(c)
        await enter(c, "draft_refused", actor=by.actor, at=now, touches=[("draft", ref)], summary=ref)
        settled = await ReviewedDraft.filter(id=draft_id, state=DraftState.WAITING).update(
            state=DraftState.REFUSED, settled_at=now, settled_by=by.actor
        )
        if not settled:
            raise Refused("draft_settled", "this draft is already settled: look at the list again")

    if by.role != Role.DPO:
        raise Refused("G09", "a DPO refuses what a file loads", status=403)
    ref = (await _found(draft_id)).ref
    await transact(step)


async def _found(draft_id: int) -> ReviewedDraft:
    found = await ReviewedDraft.get_or_none(id=draft_id)
    if found is None:
        raise Refused("unknown_draft", "there is no such draft", status=404)
    return found


async def _checked(draft_id: int, now: datetime) -> Governed:
    """The draft as its file, whole and unaltered, and fitting what counts now."""
    found = await _found(draft_id)
    if fingerprint(found.body) != found.sha256:
        raise Refused("draft_altered", "the stored draft is not the one that was loaded: load it again")
    file = KINDS[found.kind][0].model_validate(found.body)
    standing = await without_suspended(await counting())
    if problems := misfits(ReviewedFile.model_validate({found.kind: [found.body]}), standing, paris_day(now)):
        raise RefusedFile(problems)
    return file


@dataclass(frozen=True, slots=True)
class Pending:
    """A draft that waits. before: what counts now, or None. problems: what keeps it from being approved. shuts: the
    studies that would ask for more than is given, so that nothing passes for them any more."""

    draft: ReviewedDraft
    before: dict[str, Any] | None
    problems: list[Problem]
    shuts: list[str]


async def pending(now: datetime) -> list[Pending]:
    """Every draft that waits, each after what it refers to, with what its approval would do."""
    counts, today = await counting(), paris_day(now)
    standing = await without_suspended(counts)
    found = []
    for each in await waiting():
        file = {each.kind: [each.body]}
        problems = misfits(ReviewedFile.model_validate(file), standing, today)
        found.append(Pending(each, counts.get((each.kind, each.ref)), problems, _shuts(each, standing, today)))
    return found


def _shuts(each: ReviewedDraft, standing: Standing, today: date) -> list[str]:
    """The studies that stay inside their authorisation now, and would not with this draft."""
    if each.kind not in ("authorisation", "recipient"):
        return []
    key, value = ("observatory", each.body["observatory"]) if each.kind == "authorisation" else ("recipient", each.ref)
    theirs = {ref: body for (kind, ref), body in standing.items() if kind == "study" and body[key] == value}
    return [
        ref
        for ref, body in theirs.items()
        if misfits(_file(study=[body], **{each.kind: [each.body]}), standing, today)
        and not misfits(_file(study=[body]), standing, today)
    ]


def _file(**tables: Any) -> ReviewedFile:
    return ReviewedFile.model_validate(tables)


async def _put(kind: str, file: Governed, entry: int, now: datetime) -> None:
    values: dict[str, Any] = {COLUMN_OF.get(name, name): value for name, value in file.model_dump().items()}
    if "conditions" in values:
        values["conditions"] = file.model_dump(mode="json")["conditions"]
    if isinstance(file, StudyFile):
        recipient = body_of("recipient", await Recipient.get(id=file.recipient))
        values |= await _listing(file.id, study_hash(file.model_dump(mode="json"), recipient), now)
    model: type[Model] = KINDS[kind][1]
    await model.update_or_create(defaults={**values, "entry_id": entry}, id=values.pop("id"))
    if isinstance(file, RecipientFile):
        for study in await Study.filter(recipient_id=file.id):
            listed = await _listing(study.id, study_hash(body_of("study", study), file.model_dump(mode="json")), now)
            await Study.filter(id=study.id).update(**listed)


def study_hash(study: dict[str, Any], recipient: dict[str, Any]) -> str:
    """To this the time on the transparency page belongs: all that is said of the study, and who receives it where."""
    shown = {name: recipient[name] for name in ("name", "category", "country")}
    return fingerprint({"study": study, "recipient": shown})


async def _listing(study_id: str, conditions_hash: str, now: datetime) -> dict[str, Any]:
    there = await Study.get_or_none(id=study_id)
    if there is not None and there.conditions_hash == conditions_hash:
        return {}
    return {"conditions_hash": conditions_hash, "listed_at": now}


def account_number(actor: str) -> int:
    """The account behind an actor of the log (`operator:7`); 0 for one that is no account."""
    number = actor.partition(":")[2]
    return int(number) if number.isdecimal() else 0


async def is_other(by: Account, author: str) -> bool | None:
    """Whether `by` is another human than who wrote or loaded it; None when nobody knows who did."""
    account = await Account.get_or_none(id=account_number(author))
    return None if account is None else not same_human(account, by)


async def refuse_own(by: Account, author: str, code: str, what: str) -> None:
    """Refused when `by` is the human who wrote or loaded it, whatever the account, or when nobody knows who did."""
    match await is_other(by, author):
        case None:
            raise Refused("author_unknown", "nobody knows who loaded this: load it again with --as", status=403)
        case False:
            raise Refused(code, what, status=403)
