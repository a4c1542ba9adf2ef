"""What a release is made from: decided on one cut and one snapshot, and what an approval of it binds."""

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from portal.flow.decide import Asked, Decision, Ground, refuse_withheld_batch, snapshot, stand
from portal.flow.means import Means
from portal.flow.permit import Passing, doctor_spans, first_day, passing
from portal.gate.terms import DoctorSpan
from portal.outside.tokens import pseudonym
from portal.records.canaries import NO_CANARY
from portal.records.clearance import decided
from portal.records.closed_in_store import parted_since_stored
from portal.records.database import Connection, rows, transact
from portal.records.enrolments import active, named_only
from portal.records.governance import Study
from portal.records.ledger import take_cut
from portal.rules.conditions import fingerprint
from portal.rules.refusals import Refused

StoreFile = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Basis:
    """What a release is assembled from: decided on one cut and one snapshot."""

    decision: Decision
    listed: list[Passing]
    refused: dict[str, int]
    spans: list[DoctorSpan]
    unnamed: list[str]
    files: list[StoreFile]
    """(practice, file name, SHA-256) of the store, as the newest committed entries name them."""
    narrowed: dict[StoreFile, StoreFile | None]
    """What became of a file from which rows were erased; None: nothing of it is left."""

    def as_json(self) -> dict[str, Any]:
        """What a later writing of the same release may not go beyond."""
        spans = [[s.practice_id, s.pseudonym, _iso(s.recorded_from)] for s in self.spans]
        return {"files": [list(file) for file in self.files], "spans": spans, "unnamed": self.unnamed}

    def as_approved(self, approved: dict[str, Any]) -> "Basis":
        """With the files and doctors that were approved, whatever the store holds by now."""
        days = [(p, name, date.fromisoformat(day) if day else None) for p, name, day in approved["spans"]]
        spans = [DoctorSpan(practice, name, name, day) for practice, name, day in days]
        files = [(str(p), str(name), str(sha)) for p, name, sha in approved["files"]]
        return replace(self, files=files, spans=spans, unnamed=list(approved["unnamed"]))

    def no_wider_than(self, approved: dict[str, Any]) -> "Basis":
        """With what is left of the approved files, and only the doctors whose records could pass then. Refused when a
        newer extraction has taken the place of one: it may hold more."""
        became = self.narrowed | {file: file for file in self.files}
        bound = [(str(p), str(name), str(sha)) for p, name, sha in approved["files"]]
        if not became.keys() >= set(bound):
            raise Refused("G72", "the store holds newer extractions than were prepared: prepare a new release")
        files = [file for one in bound if (file := became[one]) is not None]
        spans = [s for s in self.spans if [s.practice_id, s.pseudonym, _iso(s.recorded_from)] in approved["spans"]]
        unnamed = [practice for practice in self.unnamed if practice in approved["unnamed"]]
        return replace(self, files=files, spans=spans, unnamed=unnamed)


async def has_narrowed(means: Means, c: Connection, observatory_id: str, approved: dict[str, Any]) -> bool:
    """True when a doctor whose records a release holds is not active any more, or when records that name nobody no
    longer pass at one of its practices. Whose each record is stands in no list of persons, so it is asked apart."""
    family = f"observatory:{observatory_id}"
    there = [
        [e.practice_id, pseudonym(means.ring, family, f"doctor:{e.account_id}".encode()).hex(), _iso(first_day(e))]
        for e in await active(means.clock.now(), observatory_id)
    ]
    if any(span not in there for span in approved["spans"]):
        return True
    return not (await named_only(c, means.clock.now(), observatory_id)).isdisjoint(approved["unnamed"])


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def bound_conditions(ground: Ground) -> str:
    """What an approval is for: the study's conditions and its authorisation's, as one hash."""
    study = ground.study.conditions_hash if ground.study else ""
    given = ground.conditions.model_dump(mode="json") if ground.conditions else {}
    return fingerprint({"study": study, "authorisation": given})


async def basis_of(means: Means, study_id: str) -> Basis:
    """Cut first, then one snapshot: the batch, everybody who passes, the doctors and the files of the store."""
    study = await Study.get_or_none(id=study_id)
    if study is None:
        raise Refused("G05", "there is no such study", where=study_id, status=404)
    cut = await take_cut()

    async def read(c: Connection) -> Basis:
        await snapshot(c)
        asked = Asked(study.observatory_id, study_id)
        decision = await stand(means, c, asked, cut=cut)
        refuse_withheld_batch(decision)
        counted = await decided(
            c,
            decision.thresholds,
            "SELECT reason, count(*) AS n FROM decided WHERE bits <> 0 GROUP BY reason ORDER BY reason",
            among=f"WHERE {NO_CANARY}",
        )
        files, narrowed = await _store(c)
        sources = sorted({practice for practice, _, _ in files})
        there, _ = await doctor_spans(means, study.observatory_id, *sources)
        named = await named_only(c, means.clock.now(), study.observatory_id)
        mixed = await parted_since_stored(c)
        listed = [p for p in await passing(c, decision) if p.member.practice_id in sources]
        return Basis(
            decision,
            [p for p in listed if (p.member.person_id, p.member.practice_id) not in mixed],
            {row["reason"]: int(row["n"]) for row in counted},
            [DoctorSpan(s.practice_id, s.pseudonym, s.pseudonym, s.recorded_from) for s in there],
            [practice for practice in sources if practice not in named],
            files,
            narrowed,
        )

    return await transact(read)


async def _store(c: Connection) -> tuple[list[StoreFile], dict[StoreFile, StoreFile | None]]:
    """The files that count, and what became of the earlier ones of the same extractions."""
    newest = await rows(
        c,
        "SELECT id, practice_id, file_name, file_sha256 FROM extraction "
        "WHERE id IN (SELECT max(id) FROM extraction GROUP BY practice_id) ORDER BY practice_id",
    )
    now = {r["id"]: (r["practice_id"], r["file_name"], r["file_sha256"]) if r["file_name"] else None for r in newest}
    practice_of = {r["id"]: r["practice_id"] for r in newest}
    earlier = await rows(c, "SELECT extraction_id, old_name, old_sha256 FROM store_change ORDER BY id")
    narrowed = {
        (practice_of[r["extraction_id"]], r["old_name"], r["old_sha256"]): now[r["extraction_id"]]
        for r in earlier
        if r["extraction_id"] in now
    }
    return [file for file in now.values() if file is not None], narrowed
