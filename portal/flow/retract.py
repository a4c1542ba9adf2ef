"""Whatever closes somebody whose rows have left makes a retraction: pseudonym and due day, no reason, acknowledged.

Nothing needs to be told here: the facts as they are now are compared with what was delivered, so what a crash or an
outage left out is found by the next round.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from portal.flow.decide import Asked, Decision, snapshot, stand
from portal.flow.look import is_among, wrongly_listed_since
from portal.flow.means import Means
from portal.outside.tokens import pseudonym
from portal.records.accounts import Account
from portal.records.clearance import decided
from portal.records.database import Connection, NothingToDo, as_day, rows, transact, transact_or, write_many
from portal.records.enrolments import Enrolment
from portal.records.governance import Study
from portal.records.ledger import enter
from portal.records.releases import Release
from portal.records.retractions import Delivered, delivered_studies, doctors_delivered, not_retracted
from portal.records.rights_requests import changed_by_right
from portal.rules.clearance import Withheld
from portal.rules.refusals import Refused
from portal.rules.verdicts import reasons_of
from portal.rules.waiting import paris_day
from portal.rules.words import EnrolmentState, Role

ERASED_WITHIN = timedelta(days=30)
"""How long a recipient has to delete what should not have been delivered (DOMAIN §8)."""

REMINDED_BEFORE = timedelta(days=7)
"""How long before its day an open retraction is called to mind."""

ENDS_THE_BATCH = frozenset({"G01", "G02", "G03"})
"""The observatory or its authorisation has ended: nothing that was delivered may be kept. The other batch rules,
an overdue retraction among them, stop what would leave next and say nothing of what has left."""

ONLY_RESTS = frozenset({"G23", "G26", "G46"})
"""Reasons that say nothing of a delivered row: a doctor who pauses, a register grown old, a right that is asked for.
Who has left for good is found by name (`_without_their_doctor`), and so is who was granted an erasure or a
rectification since: recipients are told of both (GDPR art. 19)."""


async def reconcile(means: Means, *, only: str | None = None) -> int:
    """Make every retraction that is missing, for all studies or `only` one; returns how many. A second run makes
    none."""
    studies = [s for s in await transact(delivered_studies) if only in (None, s)]
    return sum([await _make(means, await missing(means, study)) for study in studies])


async def missing(means: Means, study_id: str) -> list[Delivered]:
    """Whoever was delivered, would not be now, and has no retraction yet. Reads only."""
    study = await Study.get(id=study_id)

    async def read(c: Connection) -> list[Delivered]:
        await snapshot(c)
        delivered = await not_retracted(c, study_id)
        if not delivered:
            return []
        asked = Asked(study.observatory_id, study_id)
        decision = await stand(means, c, asked, cut=0, as_delivered=True)
        if isinstance(decision.verdict, Withheld) and ENDS_THE_BATCH & set(decision.verdict.reasons):
            return delivered
        standing = await _standing(c, decision, study_id)
        gone = await _without_their_doctor(means, c, study)
        changed = await changed_by_right(c)
        wrong = {cut: await wrongly_listed_since(c, cut, asked) for cut in {d.cut for d in delivered}}
        return [
            d
            for d in delivered
            if (d.person_id, d.practice_id) not in standing
            or (d.release_id, d.practice_id) in gone
            or is_among(wrong[d.cut], d.person_id, d.practice_id)
            or d.cut < changed.get(d.person_id, 0)
        ]

    return await transact(read)


async def _standing(c: Connection, decision: Decision, study_id: str) -> set[tuple[str, str]]:
    """The (person, practice) in the study's releases against whom no fact stands now."""
    found = await decided(
        c,
        decision.thresholds,
        "SELECT person_id, practice_id, bits FROM decided",
        among=(
            "WHERE p.person_id IN (SELECT m.person_id FROM release_person m JOIN release r ON r.id = m.release_id "
            "WHERE r.study_id = {v1})"
        ),
        values=[study_id],
    )
    return {
        (str(row["person_id"]), row["practice_id"])
        for row in found
        if row["bits"] >= 0 and ONLY_RESTS.issuperset(reasons_of(row["bits"]))
    }


async def _without_their_doctor(means: Means, c: Connection, study: Study) -> set[tuple[str, str]]:
    """The (release, practice) that may hold records of a doctor who has left since: whose they are is not written
    in a release, so the practice is taken back whole."""
    stays = Enrolment.filter(
        observatory_id=study.observatory_id, state__in=[EnrolmentState.ACTIVE, EnrolmentState.PAUSED]
    )
    family = f"observatory:{study.observatory_id}"
    there = {
        (practice, pseudonym(means.ring, family, f"doctor:{account}".encode()).hex())
        for practice, account in await stays.values_list("practice_id", "account_id")
    }
    delivered = await doctors_delivered(c, study.id)
    return {(release, practice) for release, doctors in delivered.items() for practice, _ in doctors - there}


async def _make(means: Means, found: Sequence[Delivered]) -> int:
    async def record(c: Connection) -> int:
        now = await means.now(c)
        releases = sorted({d.release_id for d in found})
        entry = await enter(
            c, "retractions_made", actor="system", at=now, touches=[("release", r) for r in releases],
            summary=f"in {len(releases)} releases",
        )  # fmt: skip
        due_on = paris_day(now) + ERASED_WITHIN
        await write_many(
            c,
            "INSERT INTO retraction (release_id, person_id, practice_id, pseudonym, due_on, made_at, entry_id) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (release_id, person_id, practice_id) DO NOTHING",
            [(d.release_id, d.person_id, d.practice_id, d.pseudonym, due_on, now, entry) for d in found],
        )
        made = await rows(c, "SELECT count(*) AS n FROM retraction WHERE entry_id = $1", entry)
        if not made[0]["n"]:
            raise NothingToDo
        return int(made[0]["n"])

    return await transact_or(record, nothing=0) if found else 0


async def acknowledge(means: Means, release_id: str, *, up_to: int, by: Account) -> int:
    """The study's recipient says that the rows are deleted; returns how many retractions this closes.

    `up_to` is the newest entry that the recipient was shown: what came later is not acknowledged unseen.
    """

    async def step(c: Connection) -> int:
        now = await means.now(c)
        entry = await enter(
            c, "retractions_acknowledged", actor=by.actor, at=now, touches=[("release", release_id)],
            summary=f"{release_id}, up to entry {up_to}",
        )  # fmt: skip
        closed = await rows(
            c,
            "UPDATE retraction SET acknowledged_at = $1, acknowledged_by = $2 "
            "WHERE release_id = $3 AND entry_id <= $4 AND entry_id < $5 AND acknowledged_at IS NULL RETURNING id",
            now, by.actor, release_id, up_to, entry,
        )  # fmt: skip
        if not closed:
            raise NothingToDo
        return len(closed)

    release = await Release.get_or_none(id=release_id)
    if by.role != Role.RECIPIENT or (release is not None and by.study_id != release.study_id):
        raise Refused("G09", "retractions are acknowledged by the recipient of the study", status=403)
    if release is None:
        raise Refused("unknown_release", "there is no such release", status=404)
    return await transact_or(step, nothing=0)


@dataclass(frozen=True, slots=True)
class Reminded:
    study_id: str
    release_id: str
    count: int
    due_on: date


async def remind_due(means: Means) -> list[Reminded]:
    """Mark, once each, the open retractions whose day is near or past; their page says so from then on."""

    async def step(c: Connection) -> list[Reminded]:
        now = await means.now(c)
        near = paris_day(now) + REMINDED_BEFORE
        found = await rows(
            c,
            "SELECT r.study_id, x.release_id, count(*) AS count, min(x.due_on) AS due_on FROM retraction x "
            "JOIN release r ON r.id = x.release_id WHERE x.acknowledged_at IS NULL AND x.reminded_at IS NULL "
            "AND x.due_on <= $1 GROUP BY r.study_id, x.release_id ORDER BY x.release_id",
            near,
        )
        if not found:
            return []
        touches = [("release", row["release_id"]) for row in found]
        await enter(c, "retractions_reminded", actor="system", at=now, touches=touches)
        await rows(
            c,
            "UPDATE retraction SET reminded_at = $1 "
            "WHERE acknowledged_at IS NULL AND reminded_at IS NULL AND due_on <= $2",
            now,
            near,
        )
        days = [(row, as_day(row["due_on"])) for row in found]
        return [Reminded(r["study_id"], r["release_id"], int(r["count"]), day) for r, day in days if day is not None]

    return await transact(step)
