"""Every patient decided, with all reasons, against a bare hand-written query that knows only who passes.

Both leave their rows in a temporary table: ours one for each patient with all failing reasons and the first, the
bare query only the ids of those who pass, and both must find the same. The loop asks the ORM for one patient after
another, on a sample; its time is scaled to all.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from statistics import median

from tortoise.context import TortoiseContext

from bench.made_patients import THRESHOLDS, fill
from bench.measure import ROOT, Figure, Taken, compared
from bench.postgres import postgres
from portal.records.clearance import decided, renew_verdicts
from portal.records.database import Connection, configuration, rows, transact
from portal.records.enrolments import Enrolment
from portal.records.migrations import migrate
from portal.records.notices import Notice
from portal.records.objections import Objection
from portal.records.people import Contact, IdentityDoubt, Patient, RegisterImport

IDS = ("P5",)
PATIENTS = {"small": 300_000, "full": 3_000_000}
SAMPLE, RUNS = 300, 5

BARE = """
CREATE TEMP TABLE bare AS
WITH objector AS (
    SELECT DISTINCT person_id FROM objection
    WHERE withdrawn_at IS NULL AND (scope IN ('everything', 'practice') OR scope_ref IN ('observatory', 'study'))
)
SELECT p.id FROM patient p
WHERE p.left_at IS NULL
  AND p.practice_id IN (SELECT practice_id FROM enrolment WHERE observatory_id = 'observatory' AND state = 'active'
                        AND agreement_id = 1)
  AND p.practice_id IN (SELECT practice_id FROM register_import WHERE NOT partial GROUP BY practice_id
                        HAVING max(taken_at) >= $1)
  AND (p.adult_on <= $2 OR p.representative_kind IN ('parent', 'guardian'))
  AND NOT EXISTS (SELECT 1 FROM patient x WHERE x.person_id = p.person_id AND x.deceased_on IS NOT NULL)
  AND NOT EXISTS (SELECT 1 FROM identity_doubt d WHERE d.patient_id = p.id AND d.settled_at IS NULL)
  AND NOT EXISTS (SELECT 1 FROM objection o WHERE o.person_id = p.person_id AND o.withdrawn_at IS NULL
                  AND (o.scope = 'everything' OR (o.scope = 'practice' AND o.scope_ref = p.practice_id)
                       OR o.scope_ref IN ('observatory', 'study')))
  AND p.person_id NOT IN (
      SELECT mine.person_id FROM objector b
      JOIN person_token theirs ON theirs.person_id = b.person_id
      JOIN person_token mine ON mine.token = theirs.token AND mine.kind = theirs.kind
                            AND mine.person_id <> theirs.person_id
      WHERE theirs.kind LIKE 'key:%'
         OR (theirs.kind = 'name_date' AND NOT EXISTS (
             SELECT 1 FROM person_token k JOIN person_token l ON l.kind = k.kind
             WHERE k.person_id = mine.person_id AND l.person_id = theirs.person_id AND k.kind LIKE 'key:%')))
  AND p.person_id NOT IN (SELECT y.person_id FROM rights_request q JOIN patient y ON y.id = q.patient_id
                          WHERE q.state = 'open' OR (q.state = 'granted' AND q.kind IN ('erasure', 'restriction')))
  AND EXISTS (
      SELECT 1 FROM notice n JOIN notice_text t ON t.id = n.text_id
      JOIN contact c ON c.patient_id = n.patient_id AND c.addressee = n.addressee
                    AND (n.addressee = 'self' OR c.reader_index = n.reader_index)
      WHERE n.patient_id = p.id AND n.text_id = 'text-1' AND n.sent_at < $3 AND n.text_sha256 = t.sha256
        AND n.addressee = CASE WHEN p.adult_on <= $2 THEN coalesce(p.representative_kind, 'self')
                               ELSE p.representative_kind END
        AND (n.state = 'handed_over' AND n.channel = 'hand'
             OR n.state = 'sent' AND n.address_index = c.email_index AND n.sent_at <= $4))
"""


def run(scale: str) -> list[Figure]:
    with postgres() as url:
        migrate(url, ROOT / "alembic")
        fill(url, PATIENTS[scale])
        return asyncio.run(_run(url, PATIENTS[scale]))


async def _run(url: str, patients: int) -> list[Figure]:
    async with TortoiseContext() as context:
        await context.init(config=configuration(url))
        await renew_verdicts()
        ours, bare = [], []
        for _ in range(RUNS):
            ours.append(await _timed(_ours))
            bare.append(await _timed(_bare))
        passing = await transact(_both)
        if passing[0] != passing[1] or not passing[0]:
            raise RuntimeError(f"the two do not find the same: {passing}")
        loop = await _timed(_loop) * patients / SAMPLE
    value, reference = median(ours), median(bare)
    sizes = f"{patients:,} patients, {passing[0]:,} pass, PostgreSQL"
    return [
        compared("P5", "all patients, all reasons : bare verdict query", Taken(value, 0), Taken(reference, 0), 2, RUNS,
                 sizes),
        Figure("P5", f"all patients : ORM loop (scaled from {SAMPLE} patients)", value, loop, "s", ">= 30 x faster",
               loop >= 30 * value, RUNS, sizes),
    ]  # fmt: skip


async def _timed(step: Callable[[Connection], Awaitable[object]]) -> float:
    async def measured(c: Connection) -> float:
        began = time.perf_counter()
        await step(c)
        return time.perf_counter() - began

    return await transact(measured)


_ALL = "SELECT id, bits, reason, closes_on FROM decided"


async def _ours(c: Connection) -> None:
    """The product's statement, its rows into a table by wrapping it."""
    await rows(c, "DROP TABLE IF EXISTS ours")
    await rows(c, "CREATE TEMP TABLE ours (id BIGINT, bits BIGINT, reason VARCHAR, closes_on DATE)")
    await decided(c, THRESHOLDS, f", kept AS (INSERT INTO ours {_ALL}) SELECT 1")


async def _bare(c: Connection) -> None:
    t = THRESHOLDS
    await rows(c, "DROP TABLE IF EXISTS bare")
    await rows(c, BARE, t.registers_since, t.today, t.reflected_before, t.silent_before)


async def _both(c: Connection) -> tuple[int, int]:
    """How many pass in one and in the other, from fresh tables of this connection."""
    await _ours(c)
    await _bare(c)
    found = await rows(
        c, "SELECT (SELECT count(*) FROM ours WHERE bits = 0) AS a, "
        "(SELECT count(*) FROM bare JOIN ours USING (id) WHERE bits = 0) AS b, (SELECT count(*) FROM bare) AS n"
    )  # fmt: skip
    return int(found[0]["a"]), min(int(found[0]["b"]), int(found[0]["n"])) if found[0]["b"] == found[0]["n"] else -1


async def _loop(c: Connection) -> None:
    """What an ORM invites to write: a patient at a time, with her rows."""
    for patient in await Patient.all().order_by("id").limit(SAMPLE):
        enrolments = await Enrolment.filter(practice_id=patient.practice_id, observatory_id="observatory")
        register = await RegisterImport.filter(practice_id=patient.practice_id, partial=False).order_by("-taken_at")
        objections = await Objection.filter(person_id=patient.person_id, withdrawn_at=None)
        doubts = await IdentityDoubt.filter(patient_id=patient.id, settled_at=None)
        notices = await Notice.filter(patient_id=patient.id)
        contacts = await Contact.filter(patient_id=patient.id)
        _passes = (
            any(e.state == "active" for e in enrolments) and register and notices and contacts
            and not objections and not doubts and patient.left_at is None and patient.deceased_on is None
        )  # fmt: skip
