"""A small observatory, built through the product's own steps: what most flow tests begin with."""

import shutil
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from tortoise.backends.base.executor import EXECUTOR_CACHE
from tortoise.context import TortoiseContext

from portal.demo.clock import PlayedClock
from portal.flow import campaign, enrol, govern, notify, register, review
from portal.flow.means import Means
from portal.flow.notify import Letter, Rendered
from portal.flow.sign_in import Proof, add_staff, sign_in_doctor
from portal.gate.register import write_register_csv
from portal.gate.register_row import RegisterRow
from portal.outside.bounces import Kind
from portal.outside.clock import SystemClock
from portal.outside.identity import Identity, Site
from portal.outside.keys import KeyRing
from portal.outside.mail import Answer, Outcome
from portal.outside.returns import Reading, Return
from portal.records.accounts import Account
from portal.records.database import configuration, connection
from portal.records.drafts import waiting
from portal.records.governance import AgreementText
from portal.rules.reviewed import NoticeFile, ReviewedFile
from portal.rules.waiting import PARIS
from portal.rules.words import Addressee, Language, Role, Sex

TEXTS = Path(__file__).parents[1] / "portal" / "demo" / "texts"

COLUMNS: dict[str, Any] = {
    "recorded_on": {"precision": "week"},
    "year_of_birth": {"precision": "year"},
    "sex": {"precision": "full"},
    "diagnosis": {"precision": "full", "codes": ["sct|44054006", "sct|59621000"]},
}


def reviewed(**changes: Any) -> ReviewedFile:
    """The observatory, authorisation, recipient, study and two practices of the tests; `changes` replace fields
    of the authorisation (authorisation__field), of the study (study__field) or of the recipient."""
    authorisation: dict[str, Any] = {
        "id": "cnil-1", "observatory": "demo", "reference": "DR-2026-001", "valid_from": date(2026, 1, 1),
        "valid_until": date(2027, 12, 31), "dpia_review_on": date(2027, 6, 1),
        "conditions": {
            "purposes": ["public_health_research"], "banned_uses": ["health_product_promotion", "insurance"],
            "legal_basis": "public_task", "health_data_basis": "public_health",
            "recipient_categories": ["public_research"], "countries": ["FR"],
            "period_from": date(2020, 1, 1), "period_until": date(2026, 12, 31), "retention_months": 60,
            "reflection_days": 30, "listing_days": 30, "k": 2, "quasi_identifiers": ["sex", "year_of_birth"],
            "columns": COLUMNS,
        },
    }  # fmt: skip
    study: dict[str, Any] = {
        "id": "diabetes", "observatory": "demo", "recipient": "lab", "title": "Traitements au long cours",
        "question": "Comment les traitements changent-ils au fil des ans ?", "purpose": "public_health_research",
        "ethics_opinion": "CESREES 2026-01", "k": 2,
        "conditions": {
            "columns": {**COLUMNS, "year_of_birth": {"precision": "decade"}},
            "quasi_identifiers": ["year_of_birth", "sex"],
            "period_from": date(2020, 1, 1), "period_until": date(2026, 12, 31), "retention_months": 60,
        },
    }  # fmt: skip
    recipient: dict[str, Any] = {
        "id": "lab", "name": "Laboratoire d’essai", "category": "public_research", "country": "FR",
        "contract_until": date(2027, 12, 31),
    }  # fmt: skip
    for name, value in changes.items():
        what, _, key = name.partition("__")
        {"authorisation": authorisation, "study": study, "recipient": recipient}[what][key] = value
    return ReviewedFile.model_validate(
        {
            "observatory": [{
                "id": "demo", "name": "Observatoire d’essai", "controller": "Association d’essai",
                "contact": "contact@example.org", "dpo_contact": "dpo@example.org", "phone": "01 99 00 00 00",
                "postal_address": "1 rue de l’Essai, 75000 Paris",
            }],
            "authorisation": [authorisation],
            "recipient": [recipient],
            "study": [study],
            "practice": [
                {"id": "practice-a", "finess": "750000001", "name": "Cabinet A"},
                {"id": "practice-b", "finess": "750000002", "name": "Cabinet B"},
            ],
        }
    )  # fmt: skip


FAMILIES = ("Martin", "Bernard", "Thomas", "Petit", "Robert", "Richard", "Durand", "Dubois", "Moreau", "Laurent")
GIVEN = ("Camille", "Dominique", "Claude", "Andréa", "Maxime", "Alix", "Sacha", "Lou", "Morgan", "Yael")


def patient(number: str, **changes: Any) -> RegisterRow:
    """An adult who can be written to, of another name than the others; `changes` replace columns."""
    row = RegisterRow(
        patient_id=number, person_key=None, birth_date="1960-05-17", sex=Sex.FEMALE,
        family_name=FAMILIES[int(number) % 10], birth_name="", given_names=GIVEN[int(number) // 10 % 10],
        email=f"patient{number}@example.org", phone="", address="", postcode="",
        city="", country="", language=Language.FR, deceased_on=None, representative_name="", representative_email="",
        representative_address="", representative_kind=None, doctor_id="doctor-1",
    )  # fmt: skip
    return replace(row, **changes)


def child(number: str, **changes: Any) -> RegisterRow:
    given = {
        "birth_date": "2019-03-01", "email": "", "representative_kind": Addressee.PARENT,
        "representative_name": "Un Parent", "representative_email": f"parent{number}@example.org",
    }  # fmt: skip
    return patient(number, **{**given, **changes})


@dataclass
class Mailbag:
    """A post office of the tests: keeps what it is handed and answers as told (accepts, unless told otherwise)."""

    refused: set[str] = field(default_factory=set)
    busy: set[str] = field(default_factory=set)
    sent: list[tuple[str, str, bytes]] = field(default_factory=list)

    async def send(self, message: bytes, sender: str, recipient: str) -> Answer:
        self.sent.append((sender, recipient, message))
        if recipient in self.refused:
            return Answer(Outcome.REFUSED_FOR_GOOD, 550)
        return Answer(Outcome.TRY_AGAIN, 451) if recipient in self.busy else Answer(Outcome.ACCEPTED, 250)


@dataclass
class Returns:
    """A return mailbox of the tests, read completely unless told otherwise."""

    bounced: list[str] = field(default_factory=list)
    complete: bool = True

    def read(self) -> Reading:
        messages = tuple(Return(reference, True, Kind.FAILED) for reference in self.bounced)
        return Reading(messages, tuple(self.bounced), 0, self.complete)

    def mark_done(self, keys: Any) -> None:
        self.bounced.clear()


def plain_letter(letter: Letter) -> Rendered:
    return Rendered("Une information", letter.link, f"<p>{letter.link}</p>")


@dataclass
class World:
    """Everything a test may need to hold on to."""

    means: Means
    clock: PlayedClock
    folder: Path
    operator: Account
    dpo: Account
    recipient: Account
    post: Mailbag = field(default_factory=Mailbag)
    returns: Returns = field(default_factory=Returns)
    links: dict[str, str] = field(default_factory=dict)

    async def load(self, file: ReviewedFile) -> list[str]:
        """The operator loads a file, the DPO approves every draft."""
        return await load(self.means, file, self.operator, self.dpo)

    def wait(self, days: float) -> None:
        self.clock.advance_to(self.clock.now() + timedelta(days=days))

    async def enrol(
        self,
        practice: int = 1,
        *,
        number: str = "doctor-1",
        history: bool = True,
        rpps: str = "",
        verified: bool = True,
    ) -> Account:
        """A doctor signs in, chooses Cabinet A (1) or B (2), signs, and is verified."""
        site = Site(f"75000000{practice}", "", "", f"Cabinet {practice}", "10", "")
        identity = Identity(
            "https://id.example.org", f"doctor-{number}", "Dominique", number, None, rpps or "10000000001", "eidas1",
            frozenset(), (site,),
        )  # fmt: skip
        account, _ = await sign_in_doctor(self.means, identity)
        enrolment = await enrol.choose_site(self.means, account, site, observatory_id="demo")
        text = await AgreementText.get(language="fr")
        await enrol.sign(self.means, account, enrolment.id, signing(self, text, history=history))
        if verified:
            await enrol.verify(self.means, enrolment.id, doctor_number=number, by=self.operator)
        return account

    async def register(
        self, rows: list[RegisterRow], practice_id: str = "practice-a", **options: Any
    ) -> register.Imported:
        path = self.folder / f"{practice_id}-{self.clock.now():%Y%m%d%H%M%S%f}.csv"
        write_register_csv(rows, path)
        return await register.import_register(
            self.means, practice_id, path, taken_at=self.clock.now(), actor=self.operator.actor, **options
        )

    async def tell(self, practice_id: str = "practice-a") -> campaign.Campaigned:
        """Start a campaign and send everything; `links` then holds the token of each recipient's address."""
        done = await self.queue(practice_id)
        await self.send()
        return done

    async def queue(self, practice_id: str = "practice-a") -> campaign.Campaigned:
        """Start a campaign; nothing is sent yet."""
        return await campaign.start_campaign(
            self.means, observatory_id="demo", practice_id=practice_id, by=self.operator
        )

    async def send(self) -> None:
        while await notify.send_due(self.means, self.post, plain_letter):
            pass
        for _, address, message in self.post.sent:
            text = message.decode()
            start = text.index("/o/") + 3
            self.links[address] = text[start : start + 43]

    async def read_returns(self) -> int:
        return await notify.read_returns(self.means, self.returns)


def signing(world: World, text: AgreementText, *, history: bool = True, **changes: Any) -> enrol.Signing:
    """A doctor's signature of this text, as her sign-in proves her."""
    proof = Proof("eidas1", "hwk", "", world.clock.now())
    return replace(enrol.Signing(text.id, text.sha256, history, proof), **changes)


async def load(means: Means, file: ReviewedFile, operator: Account, dpo: Account) -> list[str]:
    changed = await govern.load(means, file, actor=operator.actor)
    for draft in await waiting():
        await review.approve(means, draft.id, by=dpo, second_factor=True)
    return changed


async def build(means: Means, clock: PlayedClock, folder: Path, **changes: Any) -> World:
    """An observatory with its texts approved and its staff; nobody enrolled, nobody told."""
    ring: KeyRing = means.ring
    for family in ("observatory:demo", "study:diabetes"):
        ring.create(family)
    staff = [
        await add_staff(means, email=f"{role}@example.org", role=role, study_id=study, actor="system:test")
        for role, study in ((Role.OPERATOR, None), (Role.DPO, None), (Role.RECIPIENT, "diabetes"))
    ]
    for account in staff:
        account.issuer, account.subject = "https://id.example.org", f"staff-{account.id}"
        await account.save()
    operator, dpo, recipient = staff
    await load(means, reviewed(**changes), operator, dpo)
    world = World(means, clock, folder, operator, dpo, recipient)
    await load_texts(world, "agreement-*")
    await load_texts(world, "notice-adult-*")
    return world


async def load_texts(world: World, names: str) -> None:
    """Texts that are shipped; of notices, approved by the DPO."""
    for path in sorted(TEXTS.glob(f"{names}.toml")):
        for name in await govern.load(world.means, govern.read_reviewed(path), actor=world.operator.actor):
            if path.name.startswith("notice"):
                await govern.approve_text(world.means, name, by=world.dpo)


# --- a world to begin with, built once and copied -------------------------------------------------------------------


def means_in(folder: Path, clock: PlayedClock) -> Means:
    return Means(
        clock=clock, ring=KeyRing(folder / "keys"), data_dir=folder / "data", base_url="http://127.0.0.1:8000",
        mail_from="notices@observatory.example.org", returns_address="returns+{ref}@observatory.example.org",
        releases_in_plain=True,
    )  # fmt: skip


async def begun(folder: Path, start: datetime, **changes: Any) -> World:
    """What `build` makes, in a folder that holds a migrated `portal.sqlite3`; `copied` then makes others of it."""
    means = means_in(folder, PlayedClock(start, SystemClock()))
    for family in ("contacts", "blind", "links", "matching", "signing", "releases"):
        means.ring.create(family)
    async with opened_in(folder):
        world = await build(means, means.clock, folder, **changes)
        await connection().execute_script("PRAGMA wal_checkpoint(TRUNCATE)")
    return world


def copied(first: World, seed: Path, folder: Path, start: datetime) -> World:
    """A world of its own in `folder`, as `first` was when it was begun in `seed`."""
    shutil.copytree(seed, folder)
    means = means_in(folder, PlayedClock(start, SystemClock()))
    return replace(first, means=means, clock=means.clock, folder=folder, post=Mailbag(), returns=Returns(), links={})


@asynccontextmanager
async def opened_in(folder: Path) -> AsyncIterator[None]:
    """The folder's `portal.sqlite3`, opened for Tortoise."""
    EXECUTOR_CACHE.clear()
    async with TortoiseContext() as context:
        await context.init(config=configuration(f"sqlite://{folder / 'portal.sqlite3'}"))
        yield


async def publish(world: World, version: str, language: str = "fr", **changes: Any) -> str:
    """A newer version of the demo's notice, approved by the DPO; `changes` replace fields (covers__field too)."""
    raw = tomllib.loads((TEXTS / f"notice-adult-{language}.toml").read_text(encoding="utf-8")) | {"version": version}
    for name, value in changes.items():
        what, _, key = name.partition("__")
        raw = raw | ({what: raw[what] | {key: value}} if key else {what: value})
    text = NoticeFile.model_validate(raw)
    await govern.load(world.means, ReviewedFile(text=(text,)), actor=world.operator.actor)
    await govern.approve_text(world.means, text.id, by=world.dpo)
    return text.id


def paris(year: int, month: int, day: int, hour: int = 12, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=PARIS).astimezone(UTC)
