"""Does the database keep what it has said it kept, also through a power cut? A kill alone cannot show it."""

from portal.records.database import Connection, is_postgres, rows
from portal.rules.refusals import Problem, RefusedFile

_POSTGRES = {
    "fsync": ("on",),
    "full_page_writes": ("on",),
    "synchronous_commit": ("on", "local", "remote_write", "remote_apply"),
}
_SQLITE = {"journal_mode": ("wal",), "synchronous": ("2", "3")}


async def refuse_forgetful(c: Connection) -> None:
    """RefusedFile with every setting under which an answered objection could be gone after a power cut."""
    asked = _POSTGRES if is_postgres(c) else _SQLITE
    ask = "SHOW" if is_postgres(c) else "PRAGMA"
    found = {name: str(next(iter((await rows(c, f"{ask} {name}"))[0].values()))).lower() for name in asked}
    problems = [
        Problem(
            "forgetful_database",
            f"database setting {name}",
            f"An objection that was answered could be gone after a power cut: set it to {good[0]} and start again.",
        )
        for name, good in asked.items()
        if found[name] not in good
    ]
    if problems:
        raise RefusedFile(problems)
