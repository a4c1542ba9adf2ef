"""The same request sent twice is acted on once: what was answered is kept for a day by the caller's own key."""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta

from portal.flow.means import Means
from portal.records.database import Connection, as_moment, rows, transact
from portal.rules.refusals import Refused

KEPT = timedelta(hours=24)
UNDER_WAY = timedelta(minutes=2)
"""A request that was begun longer ago and has no answer was cut off: it may be made again."""

Answered = tuple[int, bytes]
"""Status and body."""


async def once(
    means: Means, client_id: str, key: str, request: bytes, act: Callable[[], Awaitable[tuple[int, bytes, bool]]]
) -> Answered:
    """What `act` answers; or what it answered when the same client sent the same request under this key before.

    Refused("other_request", 422) when the key was used for another request, ("under_way", 409) while the first is not
    answered. A refusal is not kept, nor an answer of which `act` says, third, that not all was done: the cause may be
    mended and the request sent again under the same key.
    """
    named, asked = hashlib.sha256(key.encode()).hexdigest(), hashlib.sha256(request).hexdigest()
    claimed = await transact(lambda c: _claim(c, means, client_id, named, asked))
    if not isinstance(claimed, int):
        return claimed
    done = False
    try:
        status, body, done = await act()
    finally:
        if not done:
            await transact(lambda c: rows(c, "DELETE FROM client_answer WHERE id = $1", claimed))
    keep = "UPDATE client_answer SET status = $1, body = $2 WHERE id = $3"
    if done:
        await transact(lambda c: rows(c, keep, status, body, claimed))
    return status, body


async def _claim(c: Connection, means: Means, client_id: str, named: str, asked: str) -> Answered | int:
    """What was answered before; or the id of this request's claim."""
    now = await means.now(c)
    await rows(
        c, "DELETE FROM client_answer WHERE at < $1 OR (status IS NULL AND at < $2)", now - KEPT, now - UNDER_WAY
    )
    made = await rows(
        c,
        "INSERT INTO client_answer (client_id, key_hash, request_hash, at) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (client_id, key_hash) DO NOTHING RETURNING id",
        client_id, named, asked, now,
    )  # fmt: skip
    if made:
        return int(made[0]["id"])
    found = await rows(
        c,
        "SELECT request_hash, status, body, at FROM client_answer WHERE client_id = $1 AND key_hash = $2",
        client_id, named,
    )  # fmt: skip
    kept = found[0]
    if kept["request_hash"] != asked:
        raise Refused("other_request", "this key was used for another request", where="Idempotency-Key", status=422)
    if kept["status"] is None or as_moment(kept["at"]) is None:
        raise Refused("under_way", "the same request is under way: ask again in a moment", where="Idempotency-Key")
    return int(kept["status"]), bytes(kept["body"])
