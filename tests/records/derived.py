"""The person facts worked out a second time, in plain loops over raw rows. Imports nothing of what it checks.

`facts` gives each fact's word in lower case, by (practice, number); its keys are the fields of the person facts.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Row = dict[str, Any]
Tables = dict[str, list[Row]]
Facts = dict[str, str]

TABLES = (
    "observatory", "authorisation", "study", "recipient", "agreement_text", "notice_text", "enrolment",
    "register_import", "person", "patient", "person_token", "former_person", "identity_doubt", "contact", "minor_alone",
    "notice", "returns_reading", "path_outage", "objection", "objection_binding", "provisional_objection",
    "provisional_token", "provisional_cleared", "rights_request", "permit", "extraction", "log_entry",
)  # fmt: skip
PARIS = ZoneInfo("Europe/Paris")
TEXTS = ("valid", "no_notice", "not_valid", "superseded", "too_narrow")
DELIVERIES = ("delivered", "not_delivered", "no_evidence")


def moment(value: Any) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def day(value: Any) -> date | None:
    return date.fromisoformat(value) if isinstance(value, str) else value


def paris(value: datetime) -> date:
    return value.astimezone(PARIS).date()


@dataclass
class World:
    """One crossing: raw rows, the observatory, the study (None at an extraction), and the moment."""

    tables: Tables
    observatory: str
    study: str | None
    now: datetime

    def __post_init__(self) -> None:
        self.today = paris(self.now)
        self.house = next(row for row in self.tables["observatory"] if row["id"] == self.observatory)
        given = [row for row in self.tables["authorisation"] if row["observatory_id"] == self.observatory]
        self.given = as_json(max(given, key=lambda row: str(row["valid_until"]))["conditions"])
        self.texts = {row["id"]: row for row in self.tables["notice_text"] if row["observatory_id"] == self.observatory}
        self.word_of_text = {name: self._text(row) for name, row in self.texts.items()}
        self.last_reading = {way: self._read(way) for way in ("email", "post")}
        self.patients = {row["id"]: row for row in self.tables["patient"]}
        self.contested = self._clashed()
        self.may_be_one = self._linked()

    def _read(self, channel: str) -> datetime | None:
        readings = [r for r in self.tables["returns_reading"] if r["complete"] and r["channel"] == channel]
        return max((at for r in readings if (at := moment(r["read_at"])) is not None), default=None)

    def facts(self) -> dict[tuple[str, str], Facts]:
        return {(row["practice_id"], row["number"]): self._facts(row) for row in self.tables["patient"]}

    def _facts(self, patient: Row) -> Facts:
        told = self._told(patient)
        objection = self._objection(patient)
        return {
            "practice": self._practice(patient["practice_id"]),
            "identity": "unresolved" if self._unresolved(str(patient["person_id"])) else "resolved",
            "doubt": "possible_match" if self._doubted(str(patient["person_id"])) else "none",
            "objection": objection,
            "pending": "pending" if self._pending(str(patient["person_id"])) else "none",
            "capacity": "known" if self._readers(patient) else "unknown",
            "presence": self._presence(patient),
            "text": TEXTS[told[0]],
            "addressed": ("right", "wrong")[told[1]],
            "delivery": DELIVERIES[told[2]],
            "reflection": ("over", "running")[told[3]],
            "extracted": self._extracted(patient, told),
        }

    # --- practice, presence ---------------------------------------------------------------------------------------

    def _practice(self, practice: str) -> str:
        enrolled = [
            e for e in self.tables["enrolment"]
            if e["practice_id"] == practice and e["observatory_id"] == self.observatory
        ]  # fmt: skip
        if not enrolled:
            return "not_enrolled"
        words = {self._enrolment(e) for e in enrolled}
        for word in ("active", "not_verified", "not_signed", "stopped"):
            if word in words:
                break
        if word != "active":
            return word
        taken = [
            moment(r["taken_at"])
            for r in self.tables["register_import"]
            if r["practice_id"] == practice and not r["partial"]
        ]
        newest = max((at for at in taken if at), default=None)
        limit = timedelta(days=self.house["register_max_days"])
        return "active" if newest is not None and self.now - newest < limit else "stale_register"

    def _enrolment(self, e: Row) -> str:
        match e["state"]:
            case "active" if (ends := day(e["closes_on"])) is not None and ends <= self.today:
                return "stopped"
            case "active":
                return "active" if e["agreement_id"] in self._agreements() else "not_signed"
            case "signed":
                return "not_verified"
            case "identified":
                return "not_signed"
            case _:
                return "stopped"

    def _agreements(self) -> set[int]:
        texts = [t for t in self.tables["agreement_text"] if t["observatory_id"] == self.observatory]
        past = [t["version"] for t in texts if (grace := day(t["grace_until"])) and grace < self.today]
        return {t["id"] for t in texts if not any(t["version"] < version for version in past)}

    def _presence(self, patient: Row) -> str:
        """A death is known by any row that stands for the person, or did when it was told."""
        who = str(patient["person_id"])
        for row in [*self.tables["patient"], *self.tables["former_person"]]:
            if str(row["person_id"]) == who and row["deceased_on"] is not None:
                return "deceased"
        return "present" if patient["left_at"] is None else "left"

    # --- the person -----------------------------------------------------------------------------------------------

    def _stood_for(self, patient_id: Any) -> set[str]:
        """Every person that a patient row stands for or ever stood for."""
        former = {str(f["person_id"]) for f in self.tables["former_person"] if f["patient_id"] == patient_id}
        return former | {str(self.patients[patient_id]["person_id"])}

    def _unresolved(self, person: str) -> bool:
        """One open doubt about any of her rows is about her."""
        for doubt in self.tables["identity_doubt"]:
            if doubt["settled_at"] is None and str(self.patients[doubt["patient_id"]]["person_id"]) == person:
                return True
        return False

    def _pending(self, person: str) -> bool:
        """A right is asked for, or an erasure or a restriction was granted, of hers or through a row of hers."""
        for asked in self.tables["rights_request"]:
            if asked["kind"] == "access":
                continue
            lasts = asked["state"] == "granted" and asked["kind"] != "rectification"
            if asked["state"] != "open" and not lasts:
                continue
            if person == str(asked["person_id"]) or person in self._stood_for(asked["patient_id"]):
                return True
        return False

    # --- objections -----------------------------------------------------------------------------------------------

    def _bound(self, objection: Row) -> set[str]:
        """Every person whom an objection binds."""
        parted = {str(b["person_id"]) for b in self.tables["objection_binding"] if b["objection_id"] == objection["id"]}
        return parted | {str(objection["person_id"])} | self._stood_for(objection["patient_id"])

    def _concerns(self, objection: Row) -> bool:
        match objection["scope"]:
            case "observatory":
                return bool(objection["scope_ref"] == self.observatory)
            case "study":
                return bool(objection["scope_ref"] == self.study)
            case _:
                return True

    def _in_force(self) -> Iterable[tuple[set[str], Row]]:
        for objection in self.tables["objection"]:
            if objection["withdrawn_at"] is None and self._concerns(objection):
                yield self._bound(objection), objection

    def _objection(self, patient: Row) -> str:
        mine = [o for bound, o in self._in_force() if str(patient["person_id"]) in bound]
        scopes = {o["scope"] for o in mine}
        for scope in ("everything", "observatory", "study"):
            if scope in scopes:
                return scope
        here = any(o["scope"] == "practice" and o["scope_ref"] == patient["practice_id"] for o in mine)
        return "source" if here else "none"

    def _doubted(self, person: str) -> bool:
        """She may be somebody who objected or may have, unless that very no binds her or she was cleared of it."""
        for bound, _ in self._in_force():
            if person not in bound and any(self._may_be(person, one) for one in self._as_one(bound)):
                return True
        for spoken in self.tables["provisional_objection"]:
            if spoken["outcome"] in ("bound", "no_authority") or not self._concerns(spoken):
                continue
            looked_at = {
                str(c["person_id"]) for c in self.tables["provisional_cleared"] if c["provisional_id"] == spoken["id"]
            }
            said = {
                (t["kind"], t["token"]) for t in self.tables["provisional_token"] if t["provisional_id"] == spoken["id"]
            }
            everybody = {str(p["id"]) for p in self.tables["person"]}
            meant = {one for one in everybody - looked_at if self._is_meant(one, said)}
            if person in meant:
                return True
            if person not in looked_at and any(self._may_be(person, one) for one in self._as_one(meant)):
                return True
        return False

    def _is_meant(self, person: str, said: set[tuple[str, str]]) -> bool:
        both_dated = self._dated(person) and "name_date" in dict(said)
        return self._met(self._tokens(person), said, keys_tell=person not in self.contested, both_dated=both_dated)

    def _may_be(self, person: str, other: str) -> bool:
        contested = person in self.contested or other in self.contested
        both_dated = self._dated(person) and self._dated(other)
        mine, theirs = self._tokens(person), self._tokens(other)
        return person == other or self._met(mine, theirs, keys_tell=not contested, both_dated=both_dated)

    def _as_one(self, persons: set[str]) -> set[str]:
        """They, and all whom open doubts make one with them: by a row that stood for both, or by a key in a clash."""
        found, waiting = set(persons), list(persons)
        while waiting:
            one = waiting.pop()
            for pair in self.may_be_one:
                if one in pair and not pair <= found:
                    waiting += pair - found
                    found |= pair
        return found

    def _linked(self) -> list[frozenset[str]]:
        """Pairs of persons who may be one."""
        pairs: set[frozenset[str]] = set()
        for doubt in self.tables["identity_doubt"]:
            if doubt["settled_at"] is not None:
                continue
            stood_for = self._stood_for(doubt["patient_id"])
            pairs |= {frozenset((one, other)) for one in stood_for for other in stood_for}
            for one in stood_for if doubt["reason"] == "key_clash" else ():
                keys = {(kind, token) for kind, token in self._tokens(one) if kind.startswith("key:")}
                same = {str(t["person_id"]) for t in self.tables["person_token"] if (t["kind"], t["token"]) in keys}
                pairs |= {frozenset((one, other)) for other in same}
        return [pair for pair in pairs if len(pair) == 2]

    def _clashed(self) -> set[str]:
        """Persons whose national key was ever found with somebody else, settled or not."""
        doubts = [d for d in self.tables["identity_doubt"] if d["reason"] == "key_clash"]
        return {person for d in doubts for person in self._stood_for(d["patient_id"])}

    def _tokens(self, person: str) -> set[tuple[str, str]]:
        return {(t["kind"], t["token"]) for t in self.tables["person_token"] if str(t["person_id"]) == person}

    def _dated(self, person: str) -> bool:
        """Known by as many dates of birth as years, and by no row that has the year alone."""
        kinds = [kind for kind, _ in self._tokens(person)]
        births = [p["birth_date"] for p in self.tables["patient"] if str(p["person_id"]) == person]
        return kinds.count("name_date") >= kinds.count("name_year") and not any(0 < len(b) < 10 for b in births)

    @staticmethod
    def _met(mine: set[tuple[str, str]], theirs: set[tuple[str, str]], *, keys_tell: bool, both_dated: bool) -> bool:
        """`keys_tell`: two keys of one type that differ tell two persons apart."""
        kinds, others = {kind for kind, _ in mine}, {kind for kind, _ in theirs}
        apart = keys_tell and any(kind.startswith("key:") for kind in kinds & others)
        return any(
            kind.startswith("key:") or (not apart and not (kind == "name_year" and both_dated))
            for kind, _ in mine & theirs
        )

    # --- the notice -----------------------------------------------------------------------------------------------

    def _readers(self, patient: Row) -> list[Row]:
        """Whoever must have been told today."""
        contacts = [c for c in self.tables["contact"] if c["patient_id"] == patient["id"]]
        adult, teen = day(patient["adult_on"]), day(patient["teen_on"])
        if adult is None:
            return []
        alone = any(m["patient_id"] == patient["id"] and m["ended_at"] is None for m in self.tables["minor_alone"])
        if adult <= self.today:
            kinds = {"guardian", "mandate"} & {c["addressee"] for c in contacts} or {"self"}
        elif teen is not None and teen <= self.today and alone:
            kinds = {"self"}
        else:
            kinds = {"parent", "guardian"}
        return [c for c in contacts if c["addressee"] in kinds]

    def _told(self, patient: Row) -> tuple[int, int, int, int]:
        """The best notice of each reader, by text, addressee, delivery, reflection; the worst of those reachable."""
        readers = self._readers(patient)
        best = {id(reader): self._best(patient, reader)[0] for reader in readers}
        reachable = [best[id(reader)] for reader in readers if reader["unreachable_reason"] is None]
        if reachable:
            return max(reachable)
        return min(best.values(), default=(1, 1, 2, 1))

    def _best(self, patient: Row, reader: Row) -> tuple[tuple[int, int, int, int], datetime | None]:
        judged = [
            (self._judge(n, reader), moment(n["sent_at"]))
            for n in self.tables["notice"]
            if n["patient_id"] == patient["id"] and n["text_id"] in self.texts and self._to_her(n, patient)
        ]
        word = min((word for word, _ in judged), default=(1, 1, 2, 1))
        good = [at for word, at in judged if word == (0, 0, 0, 0) and at is not None]
        return word, min(good, default=None)

    @staticmethod
    def _to_her(n: Row, patient: Row) -> bool:
        """What was sent before the row stood for this person was told to somebody else; so, perhaps, was what has no
        moment."""
        since, sent = moment(patient["stands_since"]), moment(n["sent_at"])
        return since is None or (sent is not None and sent >= since)

    def _judge(self, n: Row, reader: Row) -> tuple[int, int, int, int]:
        right = n["addressee"] == reader["addressee"]
        if n["addressee"] != "self":
            right = right and n["reader_index"] is not None and n["reader_index"] == reader["reader_index"]
        if n["channel"] != "hand":
            hers = reader["postal_index"] if n["channel"] == "post" else reader["email_index"]
            right = right and n["address_index"] is not None and n["address_index"] == hers
        sent = moment(n["sent_at"])
        return self.word_of_text[n["text_id"]], 0 if right else 1, self._delivery(n), 0 if self._reflected(sent) else 1

    def _delivery(self, n: Row) -> int:
        if n["state"] not in ("sent", "handed_over"):
            return 1
        sent = moment(n["sent_at"])
        shown = (
            n["text_sha256"] is not None
            and n["text_sha256"] == self.texts[n["text_id"]]["sha256"]
            and sent is not None
            and n["server_answer"] is not None
            and (n["channel"] == "hand" or n["address_index"] is not None)
        )
        if not shown or sent is None:
            return 2
        if n["state"] == "handed_over":
            return 0 if n["channel"] == "hand" else 1
        wait = timedelta(days=14 if n["channel"] == "post" else 7)
        read = self.last_reading["post" if n["channel"] == "post" else "email"]
        silent = read is not None and read - sent >= wait and self.now - sent >= wait
        return 0 if silent else 1

    def _reflected(self, sent: datetime | None) -> bool:
        """Enough whole Paris days between the day of sending and today, none of them touched by an outage."""
        if sent is None:
            return False
        days, at = 0, paris(sent) + timedelta(days=1)
        while at < self.today:
            days += not self._failed_on(at)
            at += timedelta(days=1)
        return paris(sent) < self.today and days >= int(self.given["reflection_days"])

    def _failed_on(self, at: date) -> bool:
        begins = datetime(at.year, at.month, at.day, tzinfo=PARIS)
        after = at + timedelta(days=1)
        ends = datetime(after.year, after.month, after.day, tzinfo=PARIS)
        for outage in self.tables["path_outage"]:
            began, ended = moment(outage["began_at"]), moment(outage["ended_at"])
            if began is not None and began < ends and (ended is None or (ended > begins and ended > began)):
                return True
        return False

    def _text(self, text: Row) -> int:
        body = as_json(text["body"])
        canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        if text["state"] != "published" or hashlib.sha256(canonical).hexdigest() != text["sha256"]:
            return 2
        superseded = moment(text["superseded_at"])
        if superseded is not None and superseded <= self.now:
            return 3
        return 0 if self._covers(body["covers"]) else 4

    def _covers(self, told: Row) -> bool:
        if self.study is None:
            named = set(self.given["columns"]) <= set(told["columns"])
            return named and set(self.given["purposes"]) <= set(told["purposes"])
        study = next(row for row in self.tables["study"] if row["id"] == self.study)
        to = next(row for row in self.tables["recipient"] if row["id"] == study["recipient_id"])
        if not set(as_json(study["conditions"])["columns"]) <= set(told["columns"]):
            return False
        own = study["purpose"] in told["purposes"] and to["category"] in told["recipients"]
        return bool(told["general_clause"] or (own and to["country"] in told["countries"]))

    def _extracted(self, patient: Row, told: tuple[int, int, int, int]) -> str:
        there = [e for e in self.tables["extraction"] if e["practice_id"] == patient["practice_id"]]
        if self.study is None or not there or told != (0, 0, 0, 0):
            return "since_told"
        permit = next(
            p for p in self.tables["permit"] if p["id"] == max(there, key=lambda e: int(e["id"]))["permit_id"]
        )
        decided = next(moment(e["at"]) for e in self.tables["log_entry"] if e["id"] == permit["entry_id"])
        readers = [(r["unreachable_reason"], self._best(patient, r)[1]) for r in self._readers(patient)]
        needed = [at for reason, at in readers if reason is None]
        told_at = max((at for at in needed if at), default=None) if needed else None
        if told_at is None:
            told_at = min((at for _, at in readers if at), default=None)
        return "since_told" if told_at and decided and told_at < decided else "before_told"


def as_json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
