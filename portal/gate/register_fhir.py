"""A practice's patients in FHIR Patient NDJSON, as the texts of a register's columns."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from portal.rules.words import Addressee, Language

INS = "urn:oid:1.2.250.1.213.1.4.11"
ROLES = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
KINDS = {"PRN": Addressee.PARENT, "GUARD": Addressee.GUARDIAN, "POWATT": Addressee.MANDATE}
PARIS = ZoneInfo("Europe/Paris")

Resource = dict[str, Any]


class Misshapen(Exception):
    """A resource is not what it should be: the problem's code and the element."""

    def __init__(self, code: str, element: str = "") -> None:
        self.code, self.element = code, element
        super().__init__(code)


def patients(
    text: str, *, practice_id: str, today: date, report: Callable[[str, str], None]
) -> Iterator[tuple[str, dict[str, str]]]:
    """Each active patient whose managing organisation is the practice: (place, column → text).

    What cannot be read is given to `report` as (code, place). A patient marked inactive is no longer in the
    register: she counts as left.
    """
    for number, line in enumerate(text.split("\n"), 1):  # not splitlines: U+2028 may stand in a JSON text
        if not line.strip():
            continue
        place = f"line {number}"
        try:
            resource = _resource(line, today)
            if _belongs(resource, practice_id):
                yield place, _columns(resource, practice_id)
        except Misshapen as bad:
            report(bad.code, place + (f", element {bad.element}" if bad.element else ""))


def _resource(line: str, today: date) -> Resource:
    try:
        found = _in_use(json.loads(line), today)
    except (ValueError, RecursionError):
        raise Misshapen("bad_json") from None
    if not isinstance(found, dict) or found.get("resourceType") != "Patient":
        raise Misshapen("not_a_patient_resource")
    return found


def _in_use(value: Any, today: date) -> Any:
    """The value without the old names, addresses, contacts and numbers in it, and those whose period is past."""
    if isinstance(value, list):
        return [_in_use(item, today) for item in value if not (isinstance(item, dict) and _past(item, today))]
    return {k: _in_use(v, today) for k, v in value.items()} if isinstance(value, dict) else value


def _past(item: Resource, today: date) -> bool:
    end = _text(_object(item, "period"), "end")[:10]
    return item.get("use") == "old" or (end != "" and end < today.isoformat()[: len(end)])


def _belongs(resource: Resource, practice_id: str) -> bool:
    reference = _text(_object(resource, "managingOrganization"), "reference")
    return f"/{reference}".endswith(f"/Organization/{practice_id}") and resource.get("active", True) is True


def _columns(resource: Resource, practice_id: str) -> dict[str, str]:
    return {
        **_identifiers(resource, practice_id),
        **_names(_items(resource, "name")),
        **_contact_points(resource),
        **_representative(resource),
        "sex": _text(resource, "gender"),
        "birth_date": _birth(_text(resource, "birthDate")),
        "deceased_on": _death(resource),
        "language": _language(resource),
        "doctor_id": _first(_items(resource, "generalPractitioner"), "reference").rpartition("/")[2],
    }


def _identifiers(resource: Resource, practice_id: str) -> dict[str, str]:
    by_system = {_text(i, "system"): _text(i, "value") for i in reversed(_items(resource, "identifier"))}
    own = [value for system, value in by_system.items() if system.endswith(f"/{practice_id}/patient")]
    if not own:
        raise Misshapen("no_practice_number", "identifier")
    return {"patient_id": own[0], "person_key": by_system.get(INS, "")}


def _names(names: list[Resource]) -> dict[str, str]:
    """The name in use is `usual`, else `official`; the birth name is `maiden`, else the official one beside it."""
    uses = {_text(name, "use") or "official": name for name in reversed(names)}
    used = uses.get("usual") or uses.get("official") or next(iter(names), {})
    birth = uses.get("maiden") or (uses.get("official", {}) if "usual" in uses else {})
    return {
        "family_name": _text(used, "family"),
        "birth_name": _text(birth, "family"),
        "given_names": " ".join(_texts(used, "given") or _texts(birth, "given")),
    }


def _contact_points(resource: Resource) -> dict[str, str]:
    home = next(iter(_items(resource, "address")), {})
    return {
        "email": _telecom(resource, "email"),
        "phone": _telecom(resource, "phone"),
        "address": "\n".join(_texts(home, "line")),
        "postcode": _text(home, "postalCode"),
        "city": _text(home, "city"),
        "country": _text(home, "country"),
    }


def _representative(resource: Resource) -> dict[str, str]:
    """The one holder of authority. Other contacts (a neighbour, an emergency number) speak for nobody."""
    holders = [(kind, c) for c in _items(resource, "contact") for kind in _kinds(c)]
    if len(holders) > 1:
        raise Misshapen("several_representatives", "contact")
    if not holders:
        return {}
    kind, contact = holders[0]
    name, home = _object(contact, "name"), _object(contact, "address")
    place = " ".join(filter(None, (_text(home, "postalCode"), _text(home, "city"))))
    return {
        "representative_kind": kind,
        "representative_name": " ".join(filter(None, (*_texts(name, "given"), _text(name, "family")))),
        "representative_email": _telecom(contact, "email"),
        "representative_address": "\n".join(filter(None, (*_texts(home, "line"), place))),
    }


def _kinds(contact: Resource) -> set[Addressee]:
    codings = [c for r in _items(contact, "relationship") for c in _items(r, "coding")]
    codes = {_text(coding, "code") for coding in codings if _text(coding, "system") == ROLES}
    return {KINDS[code] for code in codes & KINDS.keys()}


def _birth(text: str) -> str:
    """FHIR also knows year and month; a register keeps the year of those."""
    return text[:4] if re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", text) else text


def _death(resource: Resource) -> str:
    """The day in Paris. A moment without a zone cannot be placed and is left as it is, to be refused."""
    if resource.get("deceasedBoolean", False) is not False:
        raise Misshapen("deceased_without_date", "deceasedBoolean")
    text = _text(resource, "deceasedDateTime")
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(PARIS).date().isoformat() if moment.tzinfo else text
    except (ValueError, OverflowError):
        return text


def _language(resource: Resource) -> str:
    """The first language that we write in, the preferred ones first; none of hers is ours: the default."""
    spoken = sorted(_items(resource, "communication"), key=lambda c: c.get("preferred") is not True)
    codings = [coding for c in spoken for coding in _items(_object(c, "language"), "coding")]
    codes = [_text(coding, "code").lower().partition("-")[0] for coding in codings]
    return next((code for code in codes if code in set(Language)), "")


# --- reaching into a resource without trusting its form ---------------------------------------------------------


def _items(resource: Resource, element: str) -> list[Resource]:
    found = resource.get(element, [])
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise Misshapen("bad_shape", element)
    return found


def _object(resource: Resource, element: str) -> Resource:
    found = resource.get(element, {})
    if not isinstance(found, dict):
        raise Misshapen("bad_shape", element)
    return found


def _text(resource: Resource, element: str) -> str:
    found = resource.get(element, "")
    if not isinstance(found, str):
        raise Misshapen("bad_shape", element)
    return found


def _texts(resource: Resource, element: str) -> list[str]:
    found = resource.get(element, [])
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise Misshapen("bad_shape", element)
    return found


def _first(items: list[Resource], element: str) -> str:
    return _text(items[0], element) if items else ""


def _telecom(resource: Resource, system: str) -> str:
    points = _items(resource, "telecom")
    return _first([point for point in points if _text(point, "system") == system], "value")
