"""Somebody reads in the log what others did alone, and says so. Nobody reads her own entries, with any account."""

from portal.flow.means import Means
from portal.flow.sign_in import same_human
from portal.records.accounts import Account
from portal.records.database import Connection, transact, write_many
from portal.records.ledger import enter
from portal.records.log_reviews import Row, unread
from portal.rules.refusals import Refused


async def for_reader(by: Account) -> list[Row]:
    """The entries that wait for a reader other than who made them: those that `by` may read, oldest first."""
    own = await _own_actors(by)
    return [row for row in await unread() if row["actor"] not in own]


async def read_up_to(means: Means, last: int, *, by: Account) -> int:
    """Note that every waiting entry up to this one was read, but for her own. Returns how many; Refused
    ("nothing_to_read") when there was none."""

    async def step(c: Connection) -> int:
        now = await means.now(c)
        review = await enter(
            c, "log_read", actor=by.actor, at=now, touches=[("account", "log")], summary=f"up to {last}"
        )
        own = await _own_actors(by)
        found = [row["id"] for row in await unread(c) if row["id"] <= last and row["actor"] not in own]
        if not found:
            raise Refused("nothing_to_read", "nothing up to there waits for you", status=409)
        statement = "INSERT INTO log_review (entry_id, review_id) VALUES ($1, $2) ON CONFLICT (entry_id) DO NOTHING"
        await write_many(c, statement, [(entry, review) for entry in found])
        return len(found)

    return await transact(step)


async def _own_actors(by: Account) -> set[str]:
    """How the log names every account of the same human."""
    return {account.actor for account in await Account.all() if same_human(by, account)}
