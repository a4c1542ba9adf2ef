"""Plays a plan through the portal's own steps, and tells the story of it as the demo's driver does.

What is told is what people did and saw: mails as they were rendered, answers of the mail server, links. Nothing is
read back from the database, so that the oracle judges what happened and not what the portal made of it.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from story.made import EXTRACTED, STUDIED, Inputs
from story.plans import PRACTICES, Enrolled, Event, Plan
from story.saying import add_encounters, add_record
from world import World, paris, plain_letter, publish, reviewed, signing

from portal.flow import (
    campaign,
    enrol,
    govern,
    notify,
    opt_out,
    permit,
    provisional,
    receive,
    register,
    release,
    rights,
)
from portal.flow.notify import Letter, Rendered
from portal.flow.sign_in import sign_in_doctor
from portal.gate.filtering import filter_extraction
from portal.gate.permit import Permit, read_permit
from portal.outside.identity import Identity, Site
from portal.records.accounts import Account
from portal.records.governance import AgreementText
from portal.rules.clearance import ORDER
from portal.rules.refusals import Refused
from portal.rules.words import Crossing, ObjectionChannel, RightsKind, Scope


def moment(day: str, hour: int) -> datetime:
    month, number = map(int, day.split("-"))
    return paris(2026, month, number, hour)


START = moment("01-05", 9)
PERIOD = {"period_from": "2020-01-01", "period_until": "2026-12-31", "retention_months": 60}
GROUND: dict[str, Any] = {
    "authorisation__conditions": {
        "purposes": ["public_health_research"], "banned_uses": ["health_product_promotion", "insurance"],
        "legal_basis": "public_task", "health_data_basis": "public_health",
        "recipient_categories": ["public_research"], "countries": ["FR"], "k": 2, "quasi_identifiers": ["sex"],
        "columns": EXTRACTED, **PERIOD,
    },
    "study__conditions": {
        "columns": STUDIED, "quasi_identifiers": ["sex"], "suppressed_at_most": 1, **PERIOD,
    },
}  # fmt: skip
"""What the worlds stand on. Cells are of one sex, and as many persons as it takes may be left out: otherwise hardly
any release of so few would be prepared."""

VERSION, FIRST_TITLE = "2026-06", "Notice d’information de l’observatoire de démonstration"


@dataclass
class Row:
    """A patient's row in the next register that her practice hands in, if she is `listed` there; and her links."""

    practice: str
    number: str
    cells: dict[str, str]
    listed: bool = True
    links: list[str] = field(default_factory=list)


class Player:
    def __init__(self, world: World, plan: Plan) -> None:
        self.world, self.plan, self.inputs = world, plan, Inputs()
        self.letters: list[tuple[Letter, datetime]] = []
        self.accounts: dict[str, tuple[Account, int]] = {}
        self.keys = {practice: Ed25519PrivateKey.generate() for practice in PRACTICES}
        self.permits: dict[str, Permit] = {}
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.sent: dict[str, dict[str, Any]] = {}
        self.titles = {FIRST_TITLE: f"demo-adult-fr-{VERSION}"}
        self.release_id = ""
        self.rows = [self._row(place) for place in range(len(plan.persons))]
        self.story: dict[str, Any] = self.inputs.story
        for name in (
            "practices", "doctors", "registers", "notices", "objections", "objections_without_link", "requests",
            "extractions", "returns_read", "texts",
        ):  # fmt: skip
            self.story[name] = []

    def _row(self, place: int) -> Row:
        person = self.plan.persons[place]
        practice = PRACTICES[person.practice]
        cells = {
            "patient_id": str(place), "person_key": person.key, "birth_date": person.birth, "sex": person.sex,
            "family_name": person.family, "birth_name": person.birth_name, "given_names": "Anne Marie",
            "email": f"{place}@example.org",
            "doctor_id": "stranger" if person.names_stranger else f"{practice}-first",
        }  # fmt: skip
        row = Row(practice, str(place), cells)
        if person.spoken_for:
            self._spoken_for(row, person.spoken_for)
        return row

    def _spoken_for(self, row: Row, kind: str) -> None:
        row.cells |= {
            "representative_kind": kind, "representative_name": "Somebody",
            "representative_email": f"{kind}-of-{row.number}@example.org",
        }  # fmt: skip

    @property
    def now(self) -> datetime:
        return self.world.clock.now()

    @property
    def folder(self) -> Path:
        return self.world.folder

    def day(self, day: str, hour: int) -> None:
        self.world.clock.advance_to(moment(day, hour))

    # --- the beginning --------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Ground, doctors, records, registers, and everybody told."""
        await self._ground()
        for practice, key in self.keys.items():
            await receive.register_practice_key(self.world.means, practice, key.public_key(), by=self.world.operator)
        self.day("01-08", 9)
        for place, doctor in enumerate(self.plan.doctors):
            await self._enrol(doctor, f"{PRACTICES[doctor.practice]}-{'second' if place == 2 else 'first'}", place)
        self._records()
        self.day("01-12", 9)
        for practice in PRACTICES:
            await self._hand_in(practice)
        self.day("01-15", 10)
        for practice in PRACTICES:
            await self._tell(practice, frozenset())

    async def _ground(self) -> None:
        file = reviewed(**GROUND, authorisation__valid_until=self.plan.valid_until)
        kept = file.observatory[0].model_copy(update={"register_max_days": self.plan.register_max_days})
        file = file.model_copy(update={"observatory": (kept,)})
        await self.world.load(file)
        self.story["observatory"] = kept.model_dump(mode="json")
        self.story["authorisation"] = file.authorisation[0].model_dump(mode="json")
        self.story["study"] = file.study[0].model_dump(mode="json") | {"listed_at": START}
        self.story["recipient"] = file.recipient[0].model_dump(mode="json")
        self._text_told(VERSION, START)

    def _text_told(self, version: str, approved_at: datetime, *, material: bool = False, without: str = "") -> None:
        covers = {
            "purposes": ["public_health_research", "care_evaluation", "drug_safety"], "general_clause": True,
            "columns": [name for name in EXTRACTED if name != without],
        }  # fmt: skip
        self.story["texts"].append({
            "id": f"demo-adult-fr-{version}", "version": version, "approved_at": approved_at, "withdrawn_at": None,
            "material": material, "covers": covers,
        })  # fmt: skip

    async def _enrol(self, doctor: Enrolled, name: str, place: int) -> None:
        if doctor.stands == "nowhere":
            return
        means = self.world.means
        site = Site(f"75000000{doctor.practice + 1}", "", "", "Cabinet", "10", "")
        identity = Identity(
            "https://id.example.org",
            name,
            "Dominique",
            name,
            None,
            f"1000000000{place}",
            "eidas1",
            frozenset(),
            (site,),
        )
        account, _ = await sign_in_doctor(means, identity)
        enrolment = await enrol.choose_site(means, account, site, observatory_id="demo")
        self.accounts[name] = account, enrolment.id
        told = {
            "practice_id": PRACTICES[doctor.practice], "doctor_id": name, "identified_at": self.now, "signed_at": None,
            "includes_history": None, "verified_at": None, "left_at": None,
        }  # fmt: skip
        self.story["doctors"].append(told)
        if doctor.stands == "identified":
            return
        text = await AgreementText.get(language="fr")
        await enrol.sign(means, account, enrolment.id, signing(self.world, text, history=doctor.history))
        told |= {"signed_at": self.now, "includes_history": doctor.history}
        if doctor.stands == "verified":
            await enrol.verify(means, enrolment.id, doctor_number=name, by=self.world.operator)
            told["verified_at"] = self.now

    def _records(self) -> None:
        for practice in PRACTICES:
            add_encounters(self.inputs, practice)
            self.inputs.known("unknown", practice, birth="1987", sex="female")  # somebody who is in no register
            self.inputs.condition("unknown", practice, encounter={"reference": f"Encounter/{practice}-first"})
        for row in self.rows:
            self.inputs.known(row.number, row.practice, birth=row.cells["birth_date"], sex=row.cells["sex"])
        for said in self.plan.records:
            row = self.rows[said.person % len(self.rows)]
            add_record(self.inputs, said, row.number, row.practice)
        self.inputs.write_records(self.folder)

    # --- what may happen, by the names of plans.HOW ----------------------------------------------------------------

    async def happen(self, event: Event) -> None:
        """At noon of its day, a minute after the one before."""
        self.world.clock.advance_to(max(self.now + timedelta(minutes=1), moment(event.day, 12)))
        await getattr(self, event.what)(self._of(event), event.how)

    def _of(self, event: Event) -> Row:
        return self.rows[event.who % len(self.rows)]

    async def reregister(self, row: Row, how: str) -> None:
        """The practice hands in its register again, with one thing changed."""
        match how:
            case "birth":
                row.cells["birth_date"] = "1990-01-01"
            case "born that day":
                row.cells["birth_date"] = "1987-05-05"
            case "family":
                row.cells["family_name"] = "Moreau"
            case "key":
                row.cells["person_key"] = "local:1"
            case "other key":
                row.cells["person_key"] = "local:2"
            case "address":
                row.cells["email"] = f"new-{row.number}@example.org"
            case "spoken for":
                self._spoken_for(row, "guardian")
            case "dead":
                row.cells["deceased_on"] = "2026-01-14"
            case "gone":
                row.listed = False
        await self._hand_in(row.practice)

    async def _hand_in(self, practice: str) -> None:
        rows = [dict(row.cells) for row in self.rows if row.practice == practice and row.listed]
        if not rows:
            return  # a register of nobody is no register
        file = f"registers/{practice}-{len(self.inputs.registers)}.csv"
        self.inputs.registers[file] = rows
        path = self.inputs.write_register(self.folder, file)
        by = self.world.operator.actor
        await register.import_register(self.world.means, practice, path, taken_at=self.now, actor=by)
        self.story["registers"].append({"practice_id": practice, "file": file, "taken_at": self.now})

    async def campaign(self, row: Row, how: str) -> None:
        refused = {row.cells["email"], row.cells.get("representative_email", "")} if how == "refused" else set()
        await self._tell(row.practice, frozenset(refused))

    async def _tell(self, practice: str, refused: frozenset[str]) -> None:
        self.world.post.refused = set(refused)
        try:
            await campaign.start_campaign(
                self.world.means, observatory_id="demo", practice_id=practice, by=self.world.operator
            )
        except Refused as no:
            if no.code != "no_text":
                raise
        while await notify.send_due(self.world.means, self.world.post, self._read_letter):
            pass

    def _read_letter(self, letter: Letter) -> Rendered:
        """A mail as its reader gets it: whom it is about is known by the address, which is nobody else's."""
        row = next(row for row in self.rows if letter.email in row.cells.values())
        told = {
            "practice_id": row.practice, "patient_id": row.number, "addressee": str(letter.addressee),
            "channel": "email", "text": self.titles[letter.text["title"]], "sent_at": self.now,
            "outcome": "refused" if letter.email in self.world.post.refused else "accepted", "email": letter.email,
        }  # fmt: skip
        self.story["notices"].append(told)
        self.sent[str(letter.notice_id)] = told
        if told["outcome"] == "accepted":
            row.links.append(letter.link.rpartition("/")[2])
        return plain_letter(letter)

    async def bounce(self, row: Row, how: str) -> None:
        """The newest mail about her comes back, and the returns are read; not to their end, perhaps."""
        mine = [
            (reference, told)
            for reference, told in self.sent.items()
            if told["patient_id"] == row.number and told["outcome"] == "accepted"
        ]
        for reference, told in mine[-1:]:
            self.world.returns.bounced.append(reference)
            told |= {"outcome": "bounced", "returned_at": self.now}
        await self.read_returns(complete=how == "complete")

    async def read_returns(self, *, complete: bool) -> None:
        self.world.returns.complete = complete
        await self.world.read_returns()
        self.story["returns_read"].append({"channel": "email", "at": self.now, "complete": complete})

    async def publish(self, row: Row, how: str) -> None:
        version = f"2026-07.{len(self.story['texts'])}"
        material, without = how == "material", "allergy" if how == "tells less" else ""
        columns = [name for name in EXTRACTED if name != without]
        text_id = await publish(self.world, version, title=version, material=material, covers__columns=columns)
        self.titles[version] = text_id
        self._text_told(version, self.now, material=material, without=without)

    async def withdraw_text(self, row: Row, how: str) -> None:
        """The newest that is left."""
        left = [text for text in self.story["texts"] if text["withdrawn_at"] is None]
        for text in left[-1:]:
            await self.withdraw(text)

    async def withdraw(self, text: dict[str, Any]) -> None:
        await govern.withdraw_text(self.world.means, text["id"], by=self.world.dpo)
        text["withdrawn_at"] = self.now

    async def say_no(self, row: Row, how: str) -> None:
        for link in row.links[-1:]:
            study = "diabetes" if how == "study" else ""
            await opt_out.object_(self.world.means, link, Scope(how), study)
            no = {"practice_id": row.practice, "patient_id": row.number, "scope": how, "at": self.now}
            self.story["objections"].append(no | {"withdrawn_at": None})
            self.said.append((link, self.story["objections"][-1]))

    async def take_back(self, row: Row, how: str) -> None:
        """By the newest link: it lifts what was said by that link, and nothing else."""
        for link in row.links[-1:]:
            await opt_out.withdraw(self.world.means, link)
            for by, no in self.said:
                if by == link and no["withdrawn_at"] is None:
                    no["withdrawn_at"] = self.now

    async def telephone(self, row: Row, how: str) -> None:
        her = {name: row.cells.get(name, "") for name in ("family_name", "birth_name", "given_names")}
        birth = row.cells["birth_date"][:4]
        ref = {"observatory": "demo", "study": "diabetes"}.get(how, "")
        await provisional.record(
            self.world.means, provisional.Spoken(**her, birth=birth), scope=Scope(how), scope_ref=ref,
            channel=ObjectionChannel.PHONE, by=self.world.operator,
        )  # fmt: skip
        self.story["objections_without_link"].append({**her, "birth": birth, "scope": how, "at": self.now})

    async def letter(self, row: Row, how: str) -> None:
        """A letter comes that tells of her by her national key and nothing else."""
        if key := row.cells["person_key"]:
            ref = {"observatory": "demo", "study": "diabetes"}.get(how, "")
            await provisional.record(
                self.world.means, provisional.Spoken(person_key=key), scope=Scope(how), scope_ref=ref,
                channel=ObjectionChannel.PAPER, by=self.world.operator,
            )  # fmt: skip
            said = {"family_name": "", "birth_name": "", "given_names": "", "birth": "", "person_key": key}
            self.story["objections_without_link"].append({**said, "scope": how, "at": self.now})

    async def ask(self, row: Row, how: str) -> None:
        kind = RightsKind(how)
        try:
            await rights.open_request(
                self.world.means, practice_id=row.practice, number=row.number, kind=kind, by=self.world.dpo
            )
        except Refused as no:
            if no.code != "unknown_patient":
                raise
        else:
            asked = {"practice_id": row.practice, "patient_id": row.number, "kind": how, "at": self.now}
            self.story["requests"].append(asked)

    async def leave(self, row: Row, how: str) -> None:
        name = f"{row.practice}-first"
        told = next((one for one in self.story["doctors"] if one["doctor_id"] == name), None)
        if told and told["verified_at"] and not told["left_at"]:
            await enrol.leave(self.world.means, *self.accounts[name])
            told["left_at"] = self.now

    # --- crossings ------------------------------------------------------------------------------------------------

    async def fetch(self, practice: str) -> None:
        """A permit, and what its filter lets through; neither where the portal gives none."""
        visit = {"practice_id": practice, "permit_at": None, "received_at": None}
        self.story["extractions"] = [v for v in self.story["extractions"] if v["practice_id"] != practice] + [visit]
        folder = self.folder / "practices" / f"{practice}-{self.now:%d%H%M}"
        folder.mkdir(parents=True)
        means = self.world.means
        try:
            await permit.issue(
                means, observatory_id="demo", practice_id=practice, by=self.world.operator, out=folder / "permit"
            )
        except Refused as no:
            _by_a_rule(no)
            return
        visit["permit_at"] = self.now
        granted = read_permit(folder / "permit", means.ring.public_key(), self.now, crossing=Crossing.EXTRACTION)
        self.permits[practice] = granted
        filter_extraction(
            granted, self.folder / "records" / practice, folder / "extraction", practice_key=self.keys[practice]
        )

    async def hand_over(self, practice: str) -> None:
        granted = self.permits.get(practice)
        if granted is None:
            return
        extraction = granted.allowed_path.parent.parent / "extraction"
        by = self.world.operator.actor
        try:
            await receive.receive(self.world.means, extraction, practice_id=practice, actor=by)
        except Refused as no:
            _by_a_rule(no)
            del self.permits[practice]
            return
        visit = next(one for one in self.story["extractions"] if one["practice_id"] == practice)
        visit["received_at"] = self.now

    async def prepare(self) -> None:
        """Prepared and approved; refused when nobody could be in it."""
        self.story["release"] = {"prepared_at": self.now, "reference_year": 2026}
        try:
            self.release_id = await release.prepare(self.world.means, "diabetes", by=self.world.operator)
            await release.approve(self.world.means, self.release_id, by=self.world.dpo, second_factor=True)
        except Refused as no:
            _by_a_rule(no, "empty_store", "G61")
            self.release_id = ""

    async def seal(self) -> Path | None:
        """The sealed release's folder."""
        self.story["release"]["sealed_at"] = self.now
        if not self.release_id:
            return None
        try:
            await release.seal(self.world.means, self.release_id, by=self.world.operator)
        except Refused as no:
            _by_a_rule(no, "G61")
            return None
        return self.world.means.releases / self.release_id


def _by_a_rule(no: Refused, *other_codes: str) -> None:
    """A refusal that no rule explains is a fault."""
    if no.code not in ORDER and no.code not in other_codes:
        raise no
