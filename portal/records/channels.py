"""Objections by channel, counted three times over: as the log received them, as they stand on record, as the gate
decides. Sets only; the canary is none of them."""

from collections import defaultdict
from datetime import datetime
from typing import Any

from portal.records.canaries import CANARY, ChannelCount
from portal.records.clearance import Thresholds, decided
from portal.records.database import Connection, as_moment, rows
from portal.records.possible_matches import MEANT
from portal.rules.clearance import ORDER
from portal.rules.silence import REMEMBERED
from portal.rules.words import ObjectionChannel, Scope

Entries = dict[str, set[int]]
"""By channel, the log entries by which objections came."""

UNKNOWN = "unknown"

_ON_PAPER = " ".join(f"WHEN e.summary LIKE '{c},%' THEN '{c}'" for c in ObjectionChannel)

RECEIVED = f"""
    SELECT e.id AS entry_id, e.at, e.summary, CAST(t.ref AS bigint) AS patient_id,
           CASE WHEN e.kind = 'objected' AND e.actor = 'patient' THEN 'link'
                WHEN e.kind = 'objected' AND e.actor LIKE 'doctor:%' THEN 'doctor'
                WHEN e.kind = 'objected' AND e.actor LIKE 'software:%' THEN 'software'
                WHEN e.kind IN ('objected_without_token', 'objected_with_code')
                THEN CASE {_ON_PAPER} ELSE '{UNKNOWN}' END
                ELSE '{UNKNOWN}' END AS channel
    FROM log_entry e LEFT JOIN log_touch t ON t.entry_id = e.id AND t.kind = 'patient'
    LEFT JOIN patient p ON p.id = CAST(t.ref AS bigint)
    WHERE e.kind IN ('objected', 'objected_with_code', 'objected_without_token')
      AND (p.id IS NULL OR p.practice_id <> '{CANARY}')
"""
"""What the log says was received. It is written before the objection is, and nobody can take a line out of it."""

_ON_RECORD = f"""
    SELECT o.entry_id, o.channel FROM objection o JOIN patient p ON p.id = o.patient_id
    WHERE p.practice_id <> '{CANARY}'
    UNION SELECT entry_id, channel FROM provisional_objection
"""


async def received(c: Connection) -> Entries:
    return _by_channel(await rows(c, f"SELECT channel, entry_id FROM ({RECEIVED}) r"))


async def committed(c: Connection) -> Entries:
    """Of those received, the ones for which a no stood on record when their entry was made: its own, or the same no
    said before. And whatever stands on record without having been received."""
    found = await rows(
        c,
        f"SELECT r.channel, r.entry_id FROM ({RECEIVED}) r "
        "WHERE EXISTS (SELECT 1 FROM objection o WHERE o.patient_id = r.patient_id AND o.channel = r.channel "
        "AND r.summary LIKE '%' || o.scope AND o.entry_id <= r.entry_id "
        "AND (o.withdrawal_id IS NULL OR o.withdrawal_id > r.entry_id)) "
        "OR EXISTS (SELECT 1 FROM provisional_objection o WHERE o.entry_id = r.entry_id AND o.channel = r.channel) "
        f"UNION SELECT s.channel, s.entry_id FROM ({_ON_RECORD}) s LEFT JOIN ({RECEIVED}) r "
        "ON r.entry_id = s.entry_id AND r.channel = s.channel WHERE r.entry_id IS NULL",
    )
    return _by_channel(found)


_CLOSE = sum(1 << ORDER[code] for code in ("G41", "G42", "G43", "G44"))
_DOUBT = _CLOSE | 1 << ORDER["G45"]

_UNHEEDED = f"""
    SELECT o.entry_id FROM objection o JOIN decided d ON d.id = o.patient_id
    WHERE o.withdrawn_at IS NULL AND (d.bits & {_CLOSE}) = 0 AND {{covers}}
    UNION SELECT o.entry_id FROM provisional_objection o JOIN ({MEANT}) m ON m.provisional_id = o.id
    JOIN decided d ON d.person_id = m.person_id
    WHERE (o.outcome IS NULL OR o.outcome = 'not_here') AND (d.bits & {_DOUBT}) = 0 AND {{covers}}
"""
_AMONG = (
    "WHERE p.id IN (SELECT patient_id FROM objection WHERE withdrawn_at IS NULL) "
    f"OR p.person_id IN (SELECT m.person_id FROM ({' '.join(MEANT.split())}) m)"
)


async def unheeded(c: Connection, thresholds: Thresholds) -> set[int]:
    """The entries of objections in force that cover this crossing, and that the gate does not heed for everybody: whom
    it means would be withheld for other reasons only, or would pass."""
    if thresholds.study_id:
        covers = f"o.scope = '{Scope.STUDY}' AND o.scope_ref = {{v1}}"
    else:
        covers = (
            f"(o.scope = '{Scope.EVERYTHING}' OR (o.scope = '{Scope.OBSERVATORY}' AND o.scope_ref = {{v1}}) "
            f"OR (o.scope = '{Scope.PRACTICE}' AND d.practice_id = o.scope_ref))"
        )
    asked = thresholds.study_id or thresholds.observatory_id
    found = await decided(c, thresholds, _UNHEEDED.format(covers=covers), among=_AMONG, values=[asked])
    return {int(row["entry_id"]) for row in found}


async def crossings(c: Connection) -> list[tuple[str, str | None]]:
    """What objections are decided for: each active observatory's extraction, each study that somebody said no to."""
    found = await rows(
        c,
        "SELECT id AS observatory_id, NULL AS study_id FROM observatory WHERE active "
        "UNION SELECT observatory_id, id FROM study WHERE id IN "
        "(SELECT scope_ref FROM objection WHERE scope = 'study' AND withdrawn_at IS NULL "
        "UNION SELECT scope_ref FROM provisional_objection WHERE scope = 'study') ORDER BY 1, 2",
    )
    return [(row["observatory_id"], row["study_id"]) for row in found]


async def heard(c: Connection) -> dict[str, list[datetime]]:
    """By channel, when it was heard, up to ninety days back from its last objection; the last one at the end."""
    last = await rows(c, f"SELECT channel, max(at) AS at FROM ({RECEIVED}) r GROUP BY channel")
    found: dict[str, list[datetime]] = {}
    for row in last:
        newest = as_moment(row["at"])
        since = newest - REMEMBERED if newest else None
        moments = await rows(
            c, f"SELECT at FROM ({RECEIVED}) r WHERE channel = $1 AND at >= $2 ORDER BY at", row["channel"], since
        )
        found[row["channel"]] = [at for m in moments if (at := as_moment(m["at"]))]
    return found


async def counted_at(c: Connection) -> datetime | None:
    return as_moment((await rows(c, "SELECT max(counted_at) AS at FROM channel_count"))[0]["at"])


async def counts() -> list[ChannelCount]:
    """As last counted, in the order of the channels; what came by none last."""
    order = [*map(str, ObjectionChannel), UNKNOWN]
    return sorted(await ChannelCount.all(), key=lambda one: order.index(one.channel))


def _by_channel(found: list[dict[str, Any]]) -> Entries:
    entries: Entries = defaultdict(set)
    for row in found:
        entries[row["channel"]].add(int(row["entry_id"]))
    return entries
