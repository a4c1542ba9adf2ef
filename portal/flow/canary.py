"""The canary: every hour a synthetic patient says no over the portal's own public pages, the gate must withhold her,
and she takes it back (DOMAIN §1, 5; §4, 14).

When the path is not known to have worked, that is an outage, from the last round that worked to the next.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from portal.flow.decide import Asked, thresholds_of
from portal.flow.hatch import ACTOR
from portal.flow.means import Means
from portal.flow.outage import PATH
from portal.outside.own_pages import UNREACHABLE, Pages, hidden_fields
from portal.outside.tokens import sent_link_token
from portal.records.canaries import CANARY, last_round, last_that_worked, singer
from portal.records.clearance import decided
from portal.records.database import Connection, rows, transact
from portal.records.ledger import enter
from portal.rules.verdicts import reasons_of
from portal.rules.words import CanaryOutcome, Scope

EVERY = timedelta(hours=1)

AGAIN = timedelta(minutes=5)
"""After a round that found a fault, or that nobody finished."""

UNTRIED = timedelta(hours=3)
"""When nobody has tried for longer, it is not known whether the path worked: then that was an outage."""

PAUSES = (2.0, 15.0)
"""Seconds before a second and a third try: pages that are being started again are no outage."""

SAID_NO = ("G41",)
"""All that may be between the gate and the canary once she has said no: everything else about her is in order."""


@dataclass(frozen=True, slots=True)
class Round:
    id: int
    patient_id: int
    token: str
    started_at: datetime


async def sing(
    means: Means, pages: Pages, *, now: bool = False, pauses: Sequence[float] = PAUSES
) -> CanaryOutcome | None:
    """One round, when it is due (or `now`); None when it is not, when another worker has it, or when no canary's notice
    counts yet."""
    begun = await transact(lambda c: _begin(c, means, now))
    if begun is None:
        return None
    outcome = await _song(means, pages, begun)
    for pause in pauses:
        if outcome is CanaryOutcome.WORKED:
            break
        await asyncio.sleep(pause)
        outcome = await _song(means, pages, begun)
    await transact(lambda c: _end(c, means, begun, outcome))
    return outcome


async def _begin(c: Connection, means: Means, at_once: bool) -> Round | None:
    """Of several workers one begins: the row of her practice makes the others wait, and then they find its round."""
    await rows(c, "UPDATE practice SET name = name WHERE id = $1", CANARY)
    now = await means.now(c)
    bird, last = await singer(c, now), await last_round(c)
    if bird is None:
        return None
    if last is not None:
        wait = EVERY if last["outcome"] == CanaryOutcome.WORKED else AGAIN
        if now < last["started_at"] + wait and not (at_once and last["ended_at"] is not None):
            return None
    token = sent_link_token(means.ring, str(bird["notice_id"]), bird["token_hash"])
    made = await rows(c, "INSERT INTO canary_round (started_at) VALUES ($1) RETURNING id", now)
    return Round(int(made[0]["id"]), int(bird["patient_id"]), token, now)


async def _song(means: Means, pages: Pages, begun: Round) -> CanaryOutcome:
    """What a patient does, and after each step what the gate would do with her."""
    link = f"/o/{begun.token}"
    page = await pages.get(link)
    if page.status != 200:
        return CanaryOutcome.UNREACHABLE if page.status == UNREACHABLE else CanaryOutcome.NO_PAGE
    if await _reasons(means, begun) == SAID_NO:  # an earlier round was stopped half way
        await pages.post(f"{link}/withdraw", {})
        page = await pages.get(link)
    if withheld := await _reasons(means, begun):
        return CanaryOutcome.NOT_TAKEN_BACK if withheld == SAID_NO else CanaryOutcome.WITHHELD_ANYWAY
    fields = hidden_fields(page, f"{link}/object")
    if fields != {"scope": Scope.EVERYTHING}:
        return CanaryOutcome.NO_WAY
    said = await pages.post(f"{link}/object", fields)
    if said.status != 303 or said.location.partition("?")[0] != f"{link}/receipt":
        return CanaryOutcome.NOT_RECORDED
    if (await pages.get(said.location)).status != 200:
        return CanaryOutcome.NO_RECEIPT
    if await _reasons(means, begun) != SAID_NO:
        return CanaryOutcome.NOT_WITHHELD
    await pages.post(f"{link}/withdraw", {})
    return CanaryOutcome.NOT_TAKEN_BACK if await _reasons(means, begun) else CanaryOutcome.WORKED


async def _reasons(means: Means, begun: Round) -> tuple[str, ...]:
    """Every reason for which the gate would withhold her now, by the same statement and table as everybody."""

    async def read(c: Connection) -> tuple[str, ...]:
        found = await decided(
            c,
            await thresholds_of(means, c, Asked(CANARY)),
            "SELECT bits FROM decided",
            among="WHERE p.id = {v1}",
            values=[begun.patient_id],
        )
        bits = int(found[0]["bits"]) if found else -1
        return reasons_of(bits) if bits >= 0 else ("G40",)

    return await transact(read)


async def _end(c: Connection, means: Means, begun: Round, outcome: CanaryOutcome) -> None:
    """The round with its outcome, and the outage that it begins, ends, or shows to have been; one entry."""
    now = await means.now(c)
    last = await last_that_worked(c, before=begun.id)
    since = last["ended_at"] if last else begun.started_at
    open_outage = await _open_outage(c)
    worked = outcome is CanaryOutcome.WORKED
    over = worked and open_outage is not None
    begins = not worked and open_outage is None
    was = worked and open_outage is None and await _unknown_since(c, since, begun)
    kind = "outage_ended" if over or was else "outage_began" if begins else "canary_sang"
    touches = [("canary", str(begun.patient_id))]  # the entries that touch this patient row are hers
    touches += [(PATH, "all")] if over or was or begins else []
    entry = await enter(c, kind, actor=ACTOR, at=now, touches=touches, summary=f"canary: {outcome}")
    if begins or was:
        made = await rows(c, "INSERT INTO path_outage (began_at, entry_id) VALUES ($1, $2) RETURNING id", since, entry)
        open_outage = int(made[0]["id"])
    if over or was:
        await rows(c, "UPDATE path_outage SET ended_at = $1, ending_id = $2 WHERE id = $3", now, entry, open_outage)
    await rows(
        c,
        "UPDATE canary_round SET ended_at = $1, outcome = $2, entry_id = $3 WHERE id = $4",
        now, outcome, entry, begun.id,
    )  # fmt: skip


async def _open_outage(c: Connection) -> int | None:
    """The outage that a canary has found and that is not over. What staff have noted is theirs to end."""
    found = await rows(
        c,
        "SELECT o.id FROM path_outage o JOIN log_entry e ON e.id = o.entry_id "
        "WHERE o.ended_at IS NULL AND e.actor = $1 ORDER BY o.id LIMIT 1",
        ACTOR,
    )
    return int(found[0]["id"]) if found else None


async def _unknown_since(c: Connection, since: datetime, begun: Round) -> bool:
    """Whether, since a round worked, one did not and left no outage behind (it was stopped), or nobody tried."""
    if begun.started_at > since + UNTRIED:
        return True
    found = await rows(
        c,
        "SELECT r.id FROM canary_round r WHERE r.id < $1 AND r.outcome IS NULL AND r.started_at >= $2",
        begun.id,
        since,
    )
    return bool(found)
