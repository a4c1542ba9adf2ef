"""What killed work left behind is cleared away, and what is kept of releases that have closed.

Nothing is touched while somebody works on that release: a lock tells, and it ends with the process that held it.
"""

import asyncio
from pathlib import Path

from portal.flow.means import Means
from portal.gate.unfinished import if_alone_with, left_over, remove
from portal.records.database import connection, rows


async def clear_away(means: Means) -> int:
    """Removes every folder of a release that no row speaks of; returns how many. Safe at any time, by several."""
    gone = 0
    for release_id in sorted(_spoken_of(means)):
        with if_alone_with(means.lock(release_id)) as alone:
            if alone:
                useless = await asyncio.to_thread(_useless, means, release_id, await _kept(release_id))
                await asyncio.to_thread(remove, useless)
                gone += len(useless)
    return gone


def _spoken_of(means: Means) -> set[str]:
    """The releases that any folder is named after."""
    found = [path.name for folder in (means.work, means.drafts, means.releases) for path in _in(folder)]
    return {name.lstrip(".").partition("~")[0].partition(".")[0] for name in found} - {""}


async def _kept(release_id: str) -> str | None:
    """The manifest of the version that is kept; None once the release, or its study, has closed."""
    found = await rows(
        connection(),
        "SELECT r.manifest_sha256 FROM release r JOIN study s ON s.id = r.study_id "
        "WHERE r.id = $1 AND r.state <> 'withdrawn' AND s.closed_at IS NULL",
        release_id,
    )
    return str(found[0]["manifest_sha256"]) if found else None


def _useless(means: Means, release_id: str, manifest_sha256: str | None) -> list[Path]:
    drafts = means.drafts / release_id
    halves = [path for folder in (means.drafts, means.releases) for path in _in(folder) if _is_half(path, release_id)]
    if manifest_sha256 is None:
        return [*left_over(means.work, release_id), *halves, *(path for path in [drafts] if path.exists())]
    return [
        *left_over(means.work, release_id),
        *halves,
        *(path for path in _in(drafts) if path.name != manifest_sha256),
    ]


def _is_half(path: Path, release_id: str) -> bool:
    return path.name.startswith(".") and path.name.lstrip(".").partition(".")[0] == release_id


def _in(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
