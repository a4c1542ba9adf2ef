"""The folder of a practice's program: a lock, its log, and what an unfinished run left, so that the next goes on."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from portal.gate.folders import write_whole
from portal.gate.unfinished import if_alone_with
from portal.outside.clock import Clock
from portal.rules.refusals import Refused

LARGEST_LOG = 1_000_000
FORMER_LOGS = 5


@dataclass(frozen=True, slots=True)
class WorkFolder:
    """`path` is made when it is not there, for its owner alone."""

    path: Path
    clock: Clock

    @property
    def permit(self) -> Path:
        return self.path / "permit"

    @property
    def extraction(self) -> Path:
        return self.path / "extraction"

    @property
    def log(self) -> Path:
        return self.path / "practice.log"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Refused("run_under_way") while another process is inside; let go however a process ends."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        with if_alone_with(self.path / "lock") as alone:
            if not alone:
                self.note("run", outcome="another_is_under_way")
                raise Refused("run_under_way", "another run is under way: this one did nothing", where=self.path.name)
            self._turn_log()
            yield

    def clear(self) -> None:
        """No permit and no extraction is here any more, nor half of one."""
        for folder in (self.extraction, self.permit):  # an extraction without its permit is never taken for good
            shutil.rmtree(folder.with_name(f".{folder.name}.part"), ignore_errors=True)
            if folder.exists():
                gone = folder.with_name(f".{folder.name}.gone")
                shutil.rmtree(gone, ignore_errors=True)
                folder.rename(gone)
        self.clear_halves()

    def clear_halves(self) -> None:
        """What killed work left behind is gone."""
        for half in self.path.glob(".*"):
            shutil.rmtree(half, ignore_errors=True) if half.is_dir() else half.unlink(missing_ok=True)

    def sent_register(self) -> dict[str, object]:
        """By which marks the register that was sent last is known; empty when none was."""
        with suppress(OSError, ValueError):
            found = json.loads((self.path / "register.json").read_bytes())
            return found if isinstance(found, dict) else {}
        return {}

    def keep_sent_register(self, marks: dict[str, object]) -> None:
        write_whole(self.path / "register.json", json.dumps(marks).encode())

    def note(self, step: str, *, outcome: str, **counts: object) -> None:
        """One line of the log: when, what, how it ended, and numbers. Nothing about anybody."""
        at = self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        line = " ".join([at, step, outcome, *(f"{name}={value}" for name, value in counts.items())])
        with open(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def _turn_log(self) -> None:
        if not self.log.exists() or self.log.stat().st_size < LARGEST_LOG:
            return
        for number in range(FORMER_LOGS, 0, -1):
            older = self.log.with_name(f"practice.log.{number}")
            newer = self.log.with_name(f"practice.log.{number - 1}") if number > 1 else self.log
            if newer.exists():
                newer.replace(older)
