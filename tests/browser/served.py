"""A copy of the played demo, served by the real command, and who is in it that a browser may play."""

import csv
import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import BrowserContext, Page

from portal.demo.bulk import SHIPPED, read_practices
from portal.demo.mailbox import MailFolder

TEXTS = Path(__file__).parents[2] / "portal" / "demo" / "texts"
STARTS_WITHIN = 60  # seconds

Key = tuple[str, str]
NewContext = Callable[..., BrowserContext]
"""Makes a browser of its own; takes what Playwright's `new_context` takes."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A notice that was mailed, and to whom."""

    patient: Key  # practice, number
    addressee: str
    address: str
    token: str
    language: str


@dataclass
class Site:
    """Where the pages are served, and an own patient or doctor for each who asks, so that no test meets another's."""

    base: str
    folder: Path
    _handed: set[str] = field(default_factory=set)

    @cached_property
    def story(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads((self.folder / "story.json").read_text(encoding="utf-8"))
        return told

    @cached_property
    def letters(self) -> list[Letter]:
        """Every mailed notice that arrived; the story names them in the order in which they were sent."""
        mails: dict[str, list[EmailMessage]] = {}
        for mail in MailFolder(self.folder / "mail").all():
            if "/receipt?of=" not in _text(mail):  # a receipt is no notice
                mails.setdefault(str(mail["Delivered-To"]), []).append(mail)
        told: dict[str, list[dict[str, Any]]] = {}
        for notice in self.story["notices"]:
            if notice["channel"] == "email" and notice["outcome"] != "refused":
                told.setdefault(notice["email"], []).append(notice)
        pairs = [p for to, those in told.items() for p in zip(those, mails[to], strict=True)]
        return [_letter(notice, mail) for notice, mail in pairs if notice["outcome"] == "accepted"]

    @cached_property
    def keys(self) -> dict[Key, str]:
        """The national key of each patient who has one, by practice and number."""
        found = {}
        for register in self.story["registers"]:
            with (self.folder / register["file"]).open(encoding="utf-8", newline="") as file:
                for row in csv.DictReader(file):
                    found[register["practice_id"], row["patient_id"]] = row["person_key"]
        return {patient: key for patient, key in found.items() if key}

    @cached_property
    def objected(self) -> set[Key]:
        return {(o["practice_id"], o["patient_id"]) for o in self.story["objections"]}

    def unanswered(self, addressee: str = "self", language: str = "fr") -> Letter:
        """A letter that nobody answered and that no other test was given."""
        full = {p["id"] for p in self.story["practices"] if p["part"] == "full"}
        twice = {key for key, n in Counter(self.keys.values()).items() if n > 1}
        letter = next(
            each
            for each in self.letters
            if (each.addressee, each.language) == (addressee, language)
            and each.patient[0] in full
            and each.patient not in self.objected
            and self.keys.get(each.patient) not in twice
            and each.token not in self._handed
        )
        self._handed.add(letter.token)
        return letter

    def twice_told(self) -> tuple[Letter, Letter]:
        """Two letters to one person, a patient at two practices."""
        first: dict[str, Letter] = {}
        for each in self.letters:
            key = self.keys.get(each.patient)
            if not key or each.addressee != "self" or each.patient in self.objected:
                continue
            if (other := first.setdefault(key, each)) is not each:
                return other, each
        raise LookupError("nobody was told at two practices")

    def doctor(self, part: str) -> str:
        """The sign-in name of a doctor who enrolled at a practice with this part, handed out once."""
        practices = {p["id"] for p in self.story["practices"] if p["part"] == part}
        return self._handed_once(d["rpps"] for d in self.story["doctors"] if d["practice_id"] in practices)

    def newcomer(self) -> str:
        """A doctor who did not enrol, handed out once."""
        known = {d["rpps"] for d in self.story["doctors"]}
        everybody = (d.rpps for p in read_practices(SHIPPED) for d in p.doctors)
        return self._handed_once(rpps for rpps in everybody if rpps not in known)

    def _handed_once(self, doctors: Iterable[str]) -> str:
        rpps = next(each for each in doctors if each not in self._handed)
        self._handed.add(rpps)
        return f"f:demo:{rpps}"

    def doctor_of_several_sites(self) -> str:
        sites = Counter(d.rpps for p in read_practices(SHIPPED) for d in p.doctors)
        return next(f"f:demo:{rpps}" for rpps, n in sites.items() if n > 1)

    def sign_in(self, page: Page, way: str, person: str) -> None:
        """Through the sign-in page and the identity provider; `way` is doctor or staff."""
        page.goto(f"{self.base}/login")
        page.locator(f'main a[href^="/login/{way}"]').click()
        page.locator(f'button[value="{person}"]').click()
        page.wait_for_url(re.compile(r"/(doctor|desk|recipient)(\?|$)"))


def _letter(notice: dict[str, Any], mail: EmailMessage) -> Letter:
    patient = (notice["practice_id"], notice["patient_id"])
    token = _found(r"/o/([\w-]{43})", mail)
    return Letter(patient, notice["addressee"], notice["email"], token, str(mail["Content-Language"]))


def _text(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    return str(part.get_content()) if part else ""


def _found(pattern: str, mail: EmailMessage) -> str:
    found = re.search(pattern, _text(mail))
    assert found, f"a mail without {pattern}"
    return found[1]


def mailed_base(folder: Path) -> str:
    """Where the links of the mails lead: to be served there again, so that they can be followed."""
    return _found(r"(http://127\.0\.0\.1:\d+)/o/", MailFolder(folder / "mail").read("000001"))


def load_draft(folder: Path) -> None:
    """A notice text, an authorisation and a new study that wait for approval, loaded by the command."""
    notice = (TEXTS / "notice-adult-fr.toml").read_text(encoding="utf-8")
    assert "adult-fr-2026-12" in _load(folder, re.sub(r'(?m)^version = ".*"$', 'version = "2026-12"', notice))
    observatory = (TEXTS.parent / "observatory.toml").read_text(encoding="utf-8")
    changed = observatory.replace("retention_months = 60", "retention_months = 48").replace('"rxnorm|10831", ', "")
    changed = changed.replace('id = "long-treatments"', 'id = "new-study"')
    assert "new-study" in _load(folder, changed)


def _load(folder: Path, text: str) -> str:
    draft = folder / "draft.toml"
    draft.write_text(text, encoding="utf-8")
    settings = {"DATABASE_URL": f"sqlite://{folder}/portal.sqlite3", "DATA_DIR": folder, "KEYS_DIR": folder / "keys"}
    command = [sys.executable, "-m", "portal", "load", str(draft)]
    done = subprocess.run(command, env={f"PORTAL_{name}": str(value) for name, value in settings.items()}, check=True,
                          capture_output=True, text=True)  # fmt: skip
    return done.stdout


def serve(folder: Path) -> Iterator[Site]:
    """`portal demo --serve-only` until the caller has enough."""
    base = mailed_base(folder)
    command = [sys.executable, "-m", "portal", "demo", "--serve-only", "--into", str(folder)]
    with (folder.parent / "served.log").open("w") as log:
        serving = subprocess.Popen([*command, "--port", base.rpartition(":")[2]], stdout=log, stderr=log)
    try:
        answers(base, serving, folder.parent / "served.log")
        yield Site(base, folder)
    finally:
        serving.terminate()
        serving.wait(timeout=30)


def answers(base: str, serving: subprocess.Popen[bytes], log: Path) -> None:
    """Waits until the pages are served; what the program said when it ends instead."""
    until = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < until:
        assert serving.poll() is None, log.read_text()
        try:
            with urlopen(f"{base}/readyz", timeout=5):
                return
        except URLError:
            time.sleep(0.1)
    raise TimeoutError(log.read_text())
