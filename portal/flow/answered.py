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
    means: Means, client_id: str, key: str, request: bytes, act: Callable[[], Awaitable[Answered]]
) -> Answered:
    """What `act` answers; or what it answered when the same client sent the same request under this key before.

    Refused("other_request", 422) when the key was used for another request, ("under_way", 409) while the first is not
    answered. A refusal is not kept: the request may be mended and sent under the same key.
    """
    named, asked = hashlib.sha256(key.encode()).hexdigest(), hashlib.sha256(request).hexdigest()
    if (kept := await transact(lambda c: _claim(c, means, client_id, named, asked))) is not None:
        return kept
    answered = False
    try:
        status, body = await act()
        answered = True
    finally:
        if not answered:
            await transact(lambda c: _forget(c, client_id, named))
    await transact(
        lambda c: rows(
            c, "UPDATE client_answer SET status = $1, body = $2 WHERE client_id = $3 AND key_hash = $4",
            status, body, client_id, named,
        )
    )  # fmt: skip
    return status, body


async def _forget(c: Connection, client_id: str, named: str) -> None:
    await rows(c, "DELETE FROM client_answer WHERE client_id = $1 AND key_hash = $2", client_id, named)


async def _claim(c: Connection, means: Means, client_id: str, named: str, asked: str) -> Answered | None:
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
        return None
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
