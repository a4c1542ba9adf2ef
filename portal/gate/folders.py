"""Folders that appear whole or not at all, and what a file is known by."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from portal.rules.refusals import Refused


def sha256_of(path: Path) -> str:
    """Hex of the file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def synced(path: Path) -> None:
    """Returns when a file's bytes, or a folder's names, are on the disk; where a folder cannot be opened, at once."""
    if os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A folder beside `target` that gets its name by one rename at the end, and is gone after an error."""
    if target.exists():
        raise Refused("output_exists", "There is already something of this name; name a new folder.", where=target.name)
    part = target.with_name(f".{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        yield part
        for path in sorted(part.rglob("*")):
            synced(path)
        part.rename(target)
        synced(target.parent)
    finally:  # it has its name by now, or goes
        shutil.rmtree(part, ignore_errors=True)


def write_whole(path: Path, content: bytes) -> None:
    """A file that is there with all of its bytes or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    synced(part)
    part.rename(path)


def files_below(folder: Path) -> dict[str, Path]:
    """Every file in a folder by its path from there, with `/`."""
    return {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*")) if not p.is_dir()}
