"""What the portal keeps of a release until it closes: every file encrypted for the portal itself, whole or not there.

Plain rows exist in a work folder only, while somebody works on them; whoever holds a release's lock may take away
whatever else lies about under its name.
"""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from portal.gate.age import SUFFIX, decrypt, encrypt, recipient_of
from portal.gate.folders import files_below, whole_folder

BETWEEN_TRIES = 0.02


def keep(part: Path, target: Path, identity: str) -> None:
    """Every file below `part` as an encrypted one below the new folder `target`; a folder that is there stays."""
    if target.exists():
        return
    reader = recipient_of(identity)
    with whole_folder(target) as kept:
        for name, file in files_below(part).items():
            (kept / name).parent.mkdir(parents=True, exist_ok=True)
            encrypt(file, kept / f"{name}{SUFFIX}", reader)


def open_kept(kept: Path, into: Path, *identities: str) -> None:
    """The plain files of a kept folder below `into`. Refused for a damaged one."""
    for name, file in files_below(kept).items():
        plain = into / name.removesuffix(SUFFIX)
        plain.parent.mkdir(parents=True, exist_ok=True)
        decrypt(file, plain, *identities)


@contextmanager
def work_folder(under: Path, release_id: str) -> Iterator[Path]:
    """A folder for plain rows, closed to others and gone at the end. What a killed process leaves is `left_over`."""
    under.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{release_id}~", dir=under, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def left_over(under: Path, release_id: str) -> list[Path]:
    """The work folders of this release: whoever holds its lock knows that nobody needs them."""
    return sorted(path for path in under.glob(f"{release_id}~*") if path.is_dir())


@asynccontextmanager
async def alone_with(lock: Path) -> AsyncIterator[None]:
    """Waits until nobody else is inside with this lock. It is let go however the process ends."""
    handle = _lock(lock)
    try:
        for _ in iter(lambda: _taken(handle), True):
            await asyncio.sleep(BETWEEN_TRIES)
        yield
    finally:
        os.close(handle)


@contextmanager
def if_alone_with(lock: Path) -> Iterator[bool]:
    """Whether the lock could be had at once; then it is held until the end."""
    handle = _lock(lock)
    try:
        yield _taken(handle)
    finally:
        os.close(handle)


def remove(folders: list[Path]) -> None:
    """Gone with all that is in them. A folder loses its name first, so that half of one is never taken for one."""
    for folder in folders:
        gone = folder.with_name(f".{folder.name}.gone")
        shutil.rmtree(gone, ignore_errors=True)
        with suppress(FileNotFoundError):
            folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def _lock(lock: Path) -> int:
    lock.parent.mkdir(parents=True, exist_ok=True)
    return os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)


if sys.platform == "win32":
    import msvcrt

    def _taken(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _taken(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
