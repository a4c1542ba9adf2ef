"""What the observatory may do: load reviewed files, approve notice texts, withdraw and suspend."""

import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from tortoise.models import Model

from portal.flow.means import Means
from portal.flow.sign_in import same_human
from portal.records.accounts import Account
from portal.records.database import Connection, transact
from portal.records.governance import (
    AgreementText,
    Authorisation,
    NoticeText,
    Observatory,
    Recipient,
    Study,
)
from portal.records.ledger import Touch, enter
from portal.records.people import Practice
from portal.rules.conditions import fingerprint
from portal.rules.refusals import Problem, Refused, RefusedFile
from portal.rules.reviewed import AgreementFile, NoticeFile, ReviewedFile
from portal.rules.words import Role, TextState


def read_reviewed(path: Path) -> ReviewedFile:
    """A reviewed TOML file, checked whole; RefusedFile names every place that is off."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        what = f"not a readable TOML file in UTF-8 ({type(error).__name__})"
        raise RefusedFile([Problem("bad_toml", path.name, what)]) from None
    try:
        return ReviewedFile.model_validate({"text": [raw]} if "kind" in raw else raw)
    except ValidationError as error:
        problems = [
            Problem(f"toml_{e['type']}", ".".join(map(str, e["loc"])), e["msg"])
            for e in error.errors(include_input=False, include_url=False, include_context=False)
        ]
        raise RefusedFile(problems) from None


async def load(means: Means, reviewed: ReviewedFile, *, actor: str) -> list[str]:
    """Make the database say what the file says; returns the ids that changed. Loading again changes nothing.

    Studies get their place on the transparency page now; a changed study is listed anew. A published text is
    never changed: give it a new version.
    """
    return await transact(lambda c: _load(c, means, reviewed, actor))


async def _load(c: Connection, means: Means, reviewed: ReviewedFile, actor: str) -> list[str]:
    now = await means.now(c)
    wanted = [
        *((Observatory, "observatory", o.id, o.model_dump()) for o in reviewed.observatory),
        *((Recipient, "recipient", r.id, r.model_dump()) for r in reviewed.recipient),
        *((Practice, "practice", p.id, p.model_dump()) for p in reviewed.practice),
        *(
            (Authorisation, "authorisation", a.id, _renamed(a.model_dump(mode="python"), conditions=a.conditions))
            for a in reviewed.authorisation
        ),
        *(
            (Study, "study", s.id, _renamed(s.model_dump(), conditions=s.conditions, conditions_hash=fingerprint(s)))
            for s in reviewed.study
        ),
    ]
    changed: list[str] = []
    for model, kind, key, values in wanted:
        if await _differs(model, key, values):
            entry = await enter(c, f"{kind}_loaded", actor=actor, at=now, touches=[(kind, key)], summary=key)
            await _put(model, key, values, entry=entry, now=now)
            changed.append(key)
    for text in reviewed.text:
        if isinstance(text, NoticeFile):
            changed += await _load_notice(c, text, actor, now)
        else:
            changed += await _load_agreement(c, text, actor, now)
    return changed


def _renamed(values: dict[str, Any], *, conditions: Any, **more: Any) -> dict[str, Any]:
    names = {"observatory": "observatory_id", "recipient": "recipient_id"}
    renamed = {names.get(name, name): value for name, value in values.items()}
    return renamed | {"conditions": conditions.model_dump(mode="json")} | more


async def _differs(model: type[Model], key: str, values: dict[str, Any]) -> bool:
    found = await model.get_or_none(pk=key)
    return found is None or any(getattr(found, name) != value for name, value in values.items())


async def _put(model: type[Model], key: str, values: dict[str, Any], *, entry: int, now: datetime) -> None:
    more = {"listed_at": now} if model is Study else {}
    await model.update_or_create(defaults={**values, **more, "entry_id": entry}, id=key)


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
        if text.author == by.actor or await _is_the_human(by, text.author):
            raise Refused("own_text", "a text is approved by somebody other than its author", status=403)
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


async def _is_the_human(by: Account, actor: str) -> bool:
    """True when the actor of the log is another account of the same human."""
    number = actor.partition(":")[2]
    account = await Account.get_or_none(id=int(number)) if number.isdecimal() else None
    return account is not None and same_human(account, by)


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
