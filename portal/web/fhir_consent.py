"""Consents that programs send, read and checked: each place that is off is named, and no value is repeated."""

from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import unquote

from pydantic import ValidationError
from starlette.requests import Request

from portal.flow.consent_feed import Numbered, Sent
from portal.flow.programs import Program
from portal.flow.provisional import Spoken
from portal.rules.refusals import Problem, RefusedFile
from portal.rules.scopes import ClientKind
from portal.web.api_forms import Form
from portal.web.api_reading import content_type, no_such_type
from portal.web.fhir_elements import Consent, Entry, Transaction, moment
from portal.web.fhir_resources import CATEGORIES, FHIR_JSON, POLICY_RULES, SCOPE_SYSTEM, SCOPES, practice_of

NATIONAL = frozenset(f"urn:oid:1.2.250.1.213.1.4.{last}" for last in (8, 9, 10, 11))
"""Systems of national identifiers: the INS as NIR and as NIA, and the two for trials."""

M = TypeVar("M", bound=Form)


async def one_consent(request: Request, program: Program, base: str) -> list[Sent]:
    """The Consent that was sent."""
    read = await _body(request, Consent, "Consent")
    return _checked([("Consent", read)], program, base, [])


async def transaction(request: Request, program: Program, base: str) -> list[Sent]:
    """The Consents of the transaction that was sent, in its order."""
    read = await _body(request, Transaction, "Bundle")
    problems: list[Problem] = []
    for n, entry in enumerate(read.entry):
        if not _asks_for_its_own(entry, base):
            place = f"Bundle.entry[{n}].request"
            what = "POST it to Consent, or PUT it to Consent?identifier= its own identifier"
            problems.append(Problem("request", place, what))
    placed = [(f"Bundle.entry[{n}].resource", entry.resource) for n, entry in enumerate(read.entry)]
    return _checked(placed, program, base, problems)


async def _body(request: Request, model: type[M], root: str) -> M:
    if content_type(request) not in (FHIR_JSON, "application/json"):
        raise no_such_type(FHIR_JSON)
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        raise RefusedFile(
            [Problem(one["type"], _path(root, one["loc"], one["type"]), _what(one["type"])) for one in found[:100]]
        ) from None


def _path(root: str, place: Sequence[int | str], kind: str) -> str:
    """As FHIRPath has it. The name of an element that does not belong is the caller's own text: not repeated."""
    parts = place[:-1] if kind == "extra_forbidden" else place
    return root + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)


def _what(kind: str) -> str:
    return "there is an element here that is not accepted" if kind == "extra_forbidden" else "this element is off"


def _asks_for_its_own(entry: Entry, base: str) -> bool:
    named = entry.resource.identifier[0]
    own = f"identifier={named.system}|{named.value}"
    asked, none_exist = entry.request, entry.request.ifNoneExist
    path, _, query = asked.url.removeprefix(f"{base}/fhir/").partition("?")
    if path != "Consent" or (none_exist is not None and unquote(none_exist) != own):
        return False
    return query == "" if asked.method == "POST" else unquote(query) == own and none_exist is None


def _checked(placed: Sequence[tuple[str, Consent]], program: Program, base: str, problems: list[Problem]) -> list[Sent]:
    made, seen = [], set()
    for place, one in placed:
        off = _coded_off(one)
        problems += [Problem("code", f"{place}.{name}", "no code of this profile") for name in off]
        named = (one.identifier[0].system, one.identifier[0].value)
        if named in seen:
            problems.append(Problem("twice", f"{place}.identifier", "this identifier stands twice"))
        seen.add(named)
        about = _spoken(one) if program.kind is ClientKind.PARTNER else _numbered(one, base)
        if isinstance(about, str):
            problems.append(Problem("patient", f"{place}.patient", about))
            continue
        said_at = moment(one.dateTime) if one.dateTime else None
        made.append(Sent(place, "|".join(named), one.status == "active", said_at, about))
    if problems:
        raise RefusedFile(problems)
    return made


def _coded_off(one: Consent) -> list[str]:
    """Elements with a code that this profile does not know, and ppc-1: a policy, or its rule."""
    off = []
    if not one.scope.of(frozenset((SCOPE_SYSTEM, code) for code in SCOPES)):
        off.append("scope")
    off += [f"category[{n}]" for n, each in enumerate(one.category) if not each.of(CATEGORIES)]
    if one.policyRule is not None and not one.policyRule.of(POLICY_RULES):
        off.append("policyRule")
    if one.policyRule is None and one.policy is None:
        off.append("policy")
    for n, performer in enumerate(one.performer or ()):
        if performer.type == "Organization":
            off.append(f"performer[{n}].type")
    return off


def _numbered(one: Consent, base: str) -> Numbered | str:
    """The patient by her practice's number; else what to send."""
    identifier = one.patient.identifier
    practice = practice_of(identifier.system, base) if identifier else None
    if identifier is None or practice is None or one.contained or one.patient.type not in (None, "Patient"):
        return f"name the patient by identifier only, of the system {base}/fhir/sid/PRACTICE/patient"
    return Numbered(practice, identifier.value)


def _spoken(one: Consent) -> Spoken | str:
    """The person whom a partner means; else what to send."""
    person = one.contained[0] if one.contained else None
    if one.patient.type not in (None, "Patient"):
        return "patient refers to a Patient"
    if (person is None) != (one.patient.reference is None) or (person and one.patient.reference != f"#{person.id}"):
        return "refer to the contained Patient, or give an identifier"
    given = [one.patient.identifier, *((person.identifier or ()) if person else ())]
    identifiers = [each for each in given if each is not None]
    if any(each.system not in NATIONAL for each in identifiers):
        return "an identifier of a person is a national one"
    if len({each.value for each in identifiers}) > 1 or (person is None and not identifiers):
        return "give one national identifier, or a contained Patient with name and birthDate"
    spoken: dict[str, Any] = {"person_key": f"ins:{identifiers[0].value}" if identifiers else ""}
    if person is not None:
        uses = {name.use or "official": name for name in reversed(person.name)}
        used = uses.get("usual") or uses.get("official") or person.name[0]
        birth_name = uses.get("maiden") or (uses.get("official") if "usual" in uses else None)
        spoken |= {
            "family_name": used.family, "given_names": " ".join(used.given), "birth": person.birthDate,
            "birth_name": birth_name.family if birth_name else "",
        }  # fmt: skip
    return Spoken(**spoken)
