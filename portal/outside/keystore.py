"""Where keys are kept: files of their owner in a folder, or a secret store that a command of yours speaks to."""

import os
import secrets
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from portal.rules.refusals import Refused

REMEMBERED = 60.0
"""Seconds for which what a secret store said is not asked again."""

PATIENCE = 30.0
"""Seconds that a secret store has for an answer."""


class KeyStore(Protocol):
    """Named contents. `read` raises KeyError for a name that is not there."""

    def names(self) -> list[str]: ...
    def read(self, name: str) -> bytes: ...
    def write(self, name: str, content: bytes, *, replace: bool) -> None: ...
    def remove(self, name: str) -> None: ...


def write_whole(path: Path, content: bytes, *, mode: int = 0o600, replace: bool = True) -> None:
    """The file is there whole or not at all, also after a power cut.

    Without `replace`, a file that exists is kept and FileExistsError raised.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            draft.replace(path)
        else:
            path.hardlink_to(draft)
    finally:
        draft.unlink(missing_ok=True)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    if os.name != "posix":  # there a folder cannot be opened
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class FolderStore:
    """Files of mode 0600 in a folder of mode 0700. A file changed or removed by somebody else is noticed at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[str, tuple[tuple[int, int, int], bytes]] = {}

    def names(self) -> list[str]:
        return [path.name for path in self.folder.glob("*") if not path.name.startswith(".")]

    def read(self, name: str) -> bytes:
        path = f"{self.folder}/{name}"
        try:
            found = os.stat(path)
            if os.name == "posix" and found.st_mode & 0o077:  # elsewhere rights do not stand in the mode
                raise Refused("key_exposed", "Others can read this key: chmod 600.", where=name, status=503)
            mark = (found.st_ino, found.st_mtime_ns, found.st_size)
            if (read := self._read.get(name)) is None or read[0] != mark:
                with open(path, "rb") as file:
                    read = self._read[name] = (mark, file.read())
        except OSError:
            raise KeyError(name) from None
        return read[1]

    def write(self, name: str, content: bytes, *, replace: bool) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(self.folder / name, content, replace=replace)

    def remove(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)
        _sync(self.folder)
        self._read.pop(name, None)


class CommandStore:
    """A secret store behind a command: `list` prints names, `get NAME` a content, `put NAME` reads one from standard
    input, `delete NAME` forgets it; exit status 0 for done. No key stands in an argument."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)
        self._read: dict[str, tuple[float, bytes]] = {}

    def names(self) -> list[str]:
        return self._ask("list").decode().split()

    def read(self, name: str) -> bytes:
        known = self._read.get(name)
        if known is None or time.monotonic() - known[0] > REMEMBERED:
            if name not in self.names():
                raise KeyError(name)
            known = self._read[name] = (time.monotonic(), self._ask("get", name))
        return known[1]

    def write(self, name: str, content: bytes, *, replace: bool) -> None:
        if not replace and name in self.names():
            raise FileExistsError(name)
        self._ask("put", name, given=content)
        self._read.pop(name, None)

    def remove(self, name: str) -> None:
        if name in self.names():
            self._ask("delete", name)
        self._read.pop(name, None)

    def _ask(self, *words: str, given: bytes = b"") -> bytes:
        try:
            done = subprocess.run(  # noqa: S603 # the operator's own command, named in the settings
                [*self._command, *words], input=given, capture_output=True, timeout=PATIENCE, check=True
            )
        except (OSError, subprocess.SubprocessError):
            raise Refused("key_store", "The secret store does not answer.", where=words[0], status=503) from None
        return done.stdout
