"""The FHIR R4 resources that are served: Consent, Bundle, OperationOutcome, CapabilityStatement."""

from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from importlib.metadata import version
from typing import Any
from urllib.parse import quote, unquote

from starlette.responses import JSONResponse, Response

from portal.flow.consent_feed import Kept
from portal.flow.programs import TOKEN_PATH
from portal.outside.assertion import ALGORITHMS
from portal.records.sent_consents import Shown
from portal.rules.refusals import Problem, Refused, RefusedFile
from portal.rules.scopes import Access
from portal.rules.words import Addressee, Scope

FHIR_JSON = "application/fhir+json"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
SCOPE_SYSTEM = f"{TERMINOLOGY}/consentscope"
SCOPES = ("patient-privacy", "research")
CATEGORIES = frozenset(
    {
        ("http://loinc.org", "59284-0"),
        *((f"{TERMINOLOGY}/consentcategorycodes", code) for code in ("research", "rsdid", "rsreid")),
        *((f"{TERMINOLOGY}/v3-ActCode", code) for code in ("IDSCL", "INFA")),
    }
)
POLICY_RULES = frozenset({(f"{TERMINOLOGY}/v3-ActCode", "OPTOUT")})
PUBLISHED = "2026-11-26"
"""Of the CapabilityStatement: the day on which what it says last changed."""

Resource = dict[str, Any]

ISSUES = {
    400: "invalid", 401: "login", 403: "forbidden", 404: "not-found", 405: "not-supported", 409: "conflict",
    413: "too-long", 415: "not-supported", 422: "invalid", 429: "throttled", 503: "transient",
}  # fmt: skip
"""By status, the code of the issue; our own faults are exceptions."""


def answer(resource: Resource, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(resource, status, headers, media_type=FHIR_JSON)


# --- systems of this portal's own identifiers ------------------------------------------------------------------------


def patient_system(practice_id: str, base: str) -> str:
    """The system of a practice's own patient numbers; a FHIR register may carry it too."""
    return f"{base}/fhir/sid/{quote(practice_id, safe='')}/patient"


def practice_of(system: str, base: str) -> str | None:
    """The practice whose patient numbers this system holds."""
    start, end = f"{base}/fhir/sid/", "/patient"
    named = unquote(system[len(start) : -len(end)]) if system.startswith(start) and system.endswith(end) else ""
    return named if named and patient_system(named, base) == system and "\0" not in named else None


def _logical(kind: str, system: str, value: str) -> Resource:
    return {"type": kind, "identifier": {"system": system, "value": value}}


# --- Consent ---------------------------------------------------------------------------------------------------------


def consent(shown: Shown, base: str) -> Resource:
    """An objection: active and deny; taken back: inactive. Nobody is named but by her practice's number."""
    uri = f"{base}/fhir/sid/notice-text/{quote(shown.text_id, safe='')}" if shown.text_id else f"{base}/transparency"
    made: Resource = {
        "resourceType": "Consent",
        "id": shown.id,
        "meta": {"versionId": str(shown.version), "lastUpdated": _instant(shown.changed_at)},
        "status": "active" if shown.active else "inactive",
        "scope": {"coding": [{"system": SCOPE_SYSTEM, "code": SCOPES[0]}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
    }
    if shown.practice_id is not None and shown.number is not None:
        made["patient"] = _logical("Patient", patient_system(shown.practice_id, base), shown.number)
    made["dateTime"] = _instant(shown.received_at)
    if shown.said_by:
        by_herself = shown.said_by == Addressee.SELF and "patient" in made
        made["performer"] = [made["patient"] if by_herself else {"type": "RelatedPerson", "display": shown.said_by}]
    made["policy"] = [{"uri": uri}]
    made["provision"] = {"type": "deny", **_limited_to(shown, base)}
    return made


def _limited_to(shown: Shown, base: str) -> Resource:
    """To whom, or from where, nothing may go; nothing for a no to everything."""
    role = {Scope.OBSERVATORY: "IRCP", Scope.PRACTICE: "CST"}.get(Scope(shown.scope))
    if role is None:
        return {}
    actor = {
        "role": {"coding": [{"system": f"{TERMINOLOGY}/v3-ParticipationType", "code": role}]},
        "reference": _logical("Organization", f"{base}/fhir/sid/{shown.scope}", shown.scope_ref),
    }
    return {"actor": [actor]}


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def etag(version_id: int) -> str:
    return f'W/"{version_id}"'


# --- Bundles ---------------------------------------------------------------------------------------------------------


def found(shown: Sequence[Shown], base: str, *, this: str, following: str | None) -> Resource:
    """A page of what was searched for."""
    links = [{"relation": "self", "url": this}]
    if following is not None:
        links.append({"relation": "next", "url": following})
    made: Resource = {"resourceType": "Bundle", "type": "searchset", "link": links}
    if shown:
        made["entry"] = [
            {
                "fullUrl": f"{base}/fhir/Consent/{one.id}",
                "resource": consent(one, base),
                "search": {"mode": "match"},
            }
            for one in shown
        ]
    return made


def done(kept: Sequence[Kept], base: str) -> Resource:
    """What became of each Consent of a transaction, in its order."""
    return {
        "resourceType": "Bundle",
        "type": "transaction-response",
        "entry": [
            {
                "response": {
                    "status": "201 Created" if one.new else "200 OK",
                    "location": f"{base}/fhir/Consent/{one.id}",
                    "etag": etag(one.version),
                    "lastModified": _instant(one.at),
                }
            }
            for one in kept
        ],
    }


# --- OperationOutcome ------------------------------------------------------------------------------------------------


def outcome(no: Refused, what: str, most: int) -> Resource:
    """A refusal; each place of what was sent is named, no value is repeated."""
    places = no.problems[:most] if isinstance(no, RefusedFile) else [Problem(no.code, no.where, what)]
    return {"resourceType": "OperationOutcome", "issue": [_issue(one, no.status) for one in places]}


def _issue(one: Problem, status: int) -> Resource:
    code = ISSUES.get(status, "exception" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "processing")
    made: Resource = {"severity": "error", "code": code, "details": {"text": one.what}, "diagnostics": one.code}
    if one.where.startswith(("Bundle", "Consent")):
        made["expression"] = [one.where]
    return made


def recorded() -> Resource:
    issue = {"severity": "information", "code": "informational", "details": {"text": "recorded"}}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


# --- what this server does -------------------------------------------------------------------------------------------


def capability(base: str) -> Resource:
    oauth = {
        "url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
        "extension": [{"url": "token", "valueUri": f"{base}{TOKEN_PATH}"}],
    }
    service = {"system": f"{TERMINOLOGY}/restful-security-service", "code": "SMART-on-FHIR"}
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": PUBLISHED,
        "kind": "instance",
        "software": {"name": "Observatory Portal", "version": version("observatory-portal")},
        "implementation": {"description": "Objections to the reuse of health data", "url": f"{base}/fhir"},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [
            {
                "mode": "server",
                "security": {
                    "extension": [oauth],
                    "service": [{"coding": [service]}],
                    "description": "SMART backend services: a signed assertion for a token of five minutes.",
                },
                "resource": [_consents()],
                "interaction": [{"code": "transaction"}],
            }
        ],
    }


def _consents() -> Resource:
    by_number = "by the practice's number only: patient:identifier=system|value"
    parameters: list[Resource] = [
        {"name": "patient", "type": "reference", "documentation": by_number},
        {"name": "identifier", "type": "token", "documentation": "of a Consent that this program sent"},
        {"name": "status", "type": "token"},
        {"name": "_lastUpdated", "type": "date"},
    ]
    return {
        "type": "Consent",
        "documentation": "An objection: active and deny. Taken back: inactive, never deleted. Nothing is permitted.",
        "interaction": [{"code": "read"}, {"code": "search-type"}, {"code": "create"}],
        "versioning": "no-version",
        "readHistory": False,
        "conditionalCreate": True,
        "conditionalUpdate": True,
        "referencePolicy": ["logical"],
        "searchParam": parameters,
    }


def smart_configuration(base: str) -> Resource:
    return {
        "token_endpoint": f"{base}{TOKEN_PATH}",
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "scopes_supported": sorted(Access),
        "capabilities": ["client-confidential-asymmetric", "permission-v2"],
    }
