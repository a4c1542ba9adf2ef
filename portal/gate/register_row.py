"""One row of a practice's register: its columns and what each may hold."""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from portal.gate.register_faults import Faults
from portal.rules.people import is_birth, iso_day, typed_key
from portal.rules.words import Addressee, Language, Sex

EARLIEST_BIRTH = 1880  # nobody older is alive or was a patient of software


@dataclass(frozen=True, slots=True, repr=False)
class RegisterRow:
    """One patient of one practice; a missing text is empty. `person_key` is `typed_key`'s form."""

    patient_id: str
    person_key: str | None
    birth_date: str
    sex: Sex
    family_name: str
    birth_name: str
    given_names: str
    email: str
    phone: str
    address: str
    postcode: str
    city: str
    country: str
    language: Language
    deceased_on: date | None
    representative_name: str
    representative_email: str
    representative_address: str
    representative_kind: Addressee | None
    doctor_id: str

    def __repr__(self) -> str:
        return "<RegisterRow with a patient_id>"  # rows reach logs and tracebacks; their values must not


class BadValue(Exception):
    """One value breaks its column's rule. It carries the code only, never the value."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


def _text(text: str, today: date) -> str:
    return text


def _sex(text: str, today: date) -> Sex:
    if text and text.lower() not in set(Sex):
        raise BadValue("bad_sex")
    return Sex(text.lower()) if text else Sex.UNKNOWN


def _language(text: str, today: date) -> Language:
    primary = text.lower().partition("-")[0]
    if text and primary not in set(Language):
        raise BadValue("bad_language")
    return Language(primary) if text else Language.FR


def _kind(text: str, today: date) -> Addressee | None:
    if text and text.lower() not in set(Addressee) - {Addressee.SELF}:
        raise BadValue("bad_representative_kind")
    return Addressee(text.lower()) if text else None


def _key(text: str, today: date) -> str | None:
    try:
        return typed_key(text) if text else None
    except ValueError:
        raise BadValue("bad_person_key") from None


def _birth(text: str, today: date) -> str:
    if text and not is_birth(text):
        raise BadValue("bad_date")
    if text and int(text[:4]) < EARLIEST_BIRTH:
        raise BadValue("before_1880")
    if text > today.isoformat()[: len(text)]:
        raise BadValue("date_in_future")
    return text


def _death(text: str, today: date) -> date | None:
    day = iso_day(text)
    if text and day is None:
        raise BadValue("bad_date")
    if day and day > today:
        raise BadValue("date_in_future")
    return day


def _email(text: str, today: date) -> str:
    try:  # no look-up of the domain; test domains stand for themselves in a demo
        checked = validate_email(text, check_deliverability=False, test_environment=True) if text else None
    except EmailNotValidError:
        raise BadValue("bad_email") from None
    return checked.normalized if checked else ""


def _phone(text: str, today: date) -> str:
    if not text:
        return ""
    try:
        number = phonenumbers.parse(text, "FR")
    except phonenumbers.NumberParseException:
        raise BadValue("bad_phone") from None
    if not phonenumbers.is_possible_number(number):  # new ranges, and those of fiction, are in no table
        raise BadValue("bad_phone")
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


# ISO 3166-1: the regions that have telephones, without the three that ISO only reserves, with those without any.
COUNTRIES = (frozenset(phonenumbers.SUPPORTED_REGIONS) - {"AC", "TA", "XK"}) | frozenset(
    {"AQ", "BV", "GS", "HM", "PN", "TF", "UM"}
)


def _country(text: str, today: date) -> str:
    if text and text.upper() not in COUNTRIES:
        raise BadValue("bad_country")
    return text.upper()


@dataclass(frozen=True, slots=True)
class Column:
    """longest: characters; lines: may hold line breaks; column, value: whether each must be there."""

    longest: int
    read: Callable[[str, date], object] = _text
    lines: bool = False
    column_required: bool = False
    value_required: bool = False


_required = partial(Column, column_required=True)
COLUMNS: dict[str, Column] = {
    "patient_id": _required(64, value_required=True),
    "person_key": Column(100, _key),
    "birth_date": _required(40, _birth),
    "sex": _required(40, _sex),
    "family_name": _required(200, value_required=True),
    "birth_name": Column(200),
    "given_names": _required(200, value_required=True),
    "email": Column(254, _email),
    "phone": Column(40, _phone),
    "address": Column(500, lines=True),
    "postcode": Column(20),
    "city": Column(200),
    "country": Column(60, _country),
    "language": Column(40, _language),
    "deceased_on": Column(40, _death),
    "representative_name": Column(400),
    "representative_email": Column(254, _email),
    "representative_address": Column(500, lines=True),
    "representative_kind": Column(40, _kind),
    "doctor_id": Column(64),
}


def _unprintable(text: str) -> bool:
    return not text.isprintable() and any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in text)


def _value(column: Column, raw: str, today: date) -> object:
    """What the column's text stands for; BadValue when it breaks a rule."""
    text = raw.replace("\r\n", "\n").strip(" \t\r\n\xa0")
    if _unprintable(text.replace("\n", "") if column.lines else text):
        raise BadValue("control_character")
    if column.value_required and not text.strip():
        raise BadValue("missing_value")
    if len(text) > column.longest:
        raise BadValue("too_long")
    return column.read(text, today)


def _together(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(code, column) of what is wrong only when values are read side by side; a bad value is not there."""
    wrong = []
    birth, death = values.get("birth_date"), values.get("deceased_on")
    if birth and death and death.isoformat()[: len(birth)] < birth:
        wrong.append(("died_before_birth", "deceased_on"))
    name, kind = values.get("representative_name"), values.get("representative_kind")
    if name == "" and (kind or values.get("representative_email") or values.get("representative_address")):
        wrong.append(("representative_without_name", "representative_name"))
    if name and not kind and "representative_kind" in values:
        wrong.append(("representative_without_kind", "representative_kind"))
    return wrong


def read_row(raw: Mapping[str, str], place: str, today: date, faults: Faults) -> RegisterRow | None:
    """The row that a column-to-text mapping stands for, or None with every reason added to `faults`."""
    values, wrong = read_values(COLUMNS, raw, today)
    wrong += _together(values)
    for code, name in wrong:
        faults.add(code, f"{place}, column {name}")
    return None if wrong else RegisterRow(**values)


def read_values(
    columns: Mapping[str, Column], raw: Mapping[str, str], today: date
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """What each column's text stands for, and (code, column) of each that breaks a rule and is therefore not there."""
    values: dict[str, Any] = {}
    wrong: list[tuple[str, str]] = []
    for name, column in columns.items():
        try:
            values[name] = _value(column, raw.get(name, ""), today)
        except BadValue as bad:
            wrong.append((bad.code, name))
    return values, wrong
