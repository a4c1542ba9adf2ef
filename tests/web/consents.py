"""Consents as programs send them."""

from typing import Any

from whole_site import BASE

Resource = dict[str, Any]
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
FHIR = {"Content-Type": "application/fhir+json"}
INS = "urn:oid:1.2.250.1.213.1.4.8"
NIR = "2600575123456" + f"{97 - 2600575123456 % 97:02}"


def numbered(number: str, practice: str = "practice-a") -> Resource:
    return {"patient": {"identifier": {"system": f"{BASE}/fhir/sid/{practice}/patient", "value": number}}}


def by_key(key: str) -> Resource:
    return {"patient": {"type": "Patient", "identifier": {"system": INS, "value": key}}}


def by_name(family: str = "Bernard", given: str = "Camille", birth: str = "1960-05-17") -> Resource:
    person = {
        "resourceType": "Patient", "id": "p", "name": [{"family": family, "given": [given]}], "birthDate": birth,
    }  # fmt: skip
    return {"contained": [person], "patient": {"reference": "#p"}}


def no(key: str, about: Resource, **changes: Any) -> Resource:
    """An objection whose identifier is `key`; `changes` replace elements, None leaves one out."""
    made: Resource = {
        "resourceType": "Consent",
        "identifier": [{"system": "https://partner.example.org/consents", "value": key}],
        "status": "active",
        "scope": {"coding": [{"system": f"{TERMINOLOGY}/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "policyRule": {"coding": [{"system": f"{TERMINOLOGY}/v3-ActCode", "code": "OPTOUT"}]},
        "provision": {"type": "deny"},
        **about,
    }
    made.update(changes)
    return {name: value for name, value in made.items() if value is not None}


def transaction(*consents: Resource) -> Resource:
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"resource": each, "request": {"method": "POST", "url": "Consent"}} for each in consents],
    }
