"""Is a resource valid FHIR R4? A validator that is not ours, and what it lets pass."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PEER = Path(__file__).parents[1] / "browser" / "validate_fhir.js"
Resource = dict[str, Any]

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
URI = re.compile(r"\S+")
DATES = {"lastUpdated": INSTANT, "lastModified": INSTANT, "dateTime": INSTANT, "date": re.compile(r"\d{4}-\d\d-\d\d")}
URIS = {"uri", "url", "fullUrl", "location", "system", "valueUri"}
REFERENCE_TYPES = {"patient": {"Patient"}, "performer": {"Patient", "RelatedPerson"}, "reference": {"Organization"}}
IT_LACKS = {
    'CapabilityStatement.format[0]: Value set "http://hl7.org/fhir/ValueSet/mimetypes" could not be found.',
}
"""What the validator does not know of FHIR itself."""

CODES = {
    ("CodeSystem/consentscope", "patient-privacy"), ("loinc.org", "59284-0"),
    ("CodeSystem/v3-ParticipationType", "IRCP"), ("CodeSystem/v3-ParticipationType", "CST"),
    ("CodeSystem/restful-security-service", "SMART-on-FHIR"),
}  # fmt: skip


def invalid(*resources: Resource) -> list[str]:
    """Everything that is wrong with them; warnings too."""
    asked = json.dumps([*resources])
    peer = subprocess.run(["node", str(PEER)], input=asked, capture_output=True, text=True, check=True, timeout=60)
    found = [f"{m['location']}: {m['message']}" for messages in json.loads(peer.stdout) for m in messages]
    found = [fault for fault in found if fault not in IT_LACKS]
    for one in resources:
        found += ours(one)
    return found


def ours(resource: Resource) -> list[str]:
    found = []
    for path, name, value in walk(resource, resource.get("resourceType", "?")):
        if value in ([], {}, "", None):
            found.append(f"{path}: empty")
        if name == "modifierExtension":
            found.append(f"{path}: a modifier")
        if name in DATES and not DATES[name].fullmatch(value):
            found.append(f"{path}: no date")
        if name == "id" and not ID.fullmatch(value):
            found.append(f"{path}: no id")
        if name in URIS and not (isinstance(value, str) and URI.fullmatch(value)):
            found.append(f"{path}: no uri")
        if name == "coding":
            found += [f"{path}: {c}" for c in value if not any(_is(c, known) for known in CODES)]
    if resource.get("resourceType") == "Consent":
        found += consent_off(resource)
    if resource.get("resourceType") == "Bundle":
        inside = [one["resource"] for one in resource.get("entry", ()) if "resource" in one]
        found += [fault for one in inside for fault in (consent_off(one) if one["resourceType"] == "Consent" else ())]
    return found


def _is(coding: Resource, known: tuple[str, str]) -> bool:
    return coding["system"].endswith(known[0]) and coding["code"] == known[1]


def consent_off(one: Resource) -> list[str]:
    """ppc-1 (a policy or its rule), reference types, the codes of an objection."""
    found = [] if one.get("policy") or one.get("policyRule") else ["ppc-1"]
    if one["status"] not in ("active", "inactive") or one["provision"]["type"] != "deny":
        found.append("no objection")
    references = [("patient", one.get("patient")), *(("performer", each) for each in one.get("performer", ()))]
    references += [("reference", each["reference"]) for each in one["provision"].get("actor", ())]
    for name, each in references:
        if each is not None and (each.get("type") not in REFERENCE_TYPES[name] or "reference" in each):
            found.append(f"{name}: refers to {each}")
    return found


def walk(value: Any, path: str, name: str = "") -> Iterator[tuple[str, str, Any]]:
    yield path, name, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from walk(inner, f"{path}.{key}", key)
    if isinstance(value, list):
        for n, inner in enumerate(value):
            yield from walk(inner, f"{path}[{n}]")
