"""The public directory of health professionals (Annuaire Santé, FHIR): what it says of an RPPS number."""

from typing import Literal, Protocol

import httpx2
from pydantic import BaseModel, ValidationError

from portal.outside.trust import trusted
from portal.rules.people import words_of_name
from portal.rules.words import InDirectory

SECONDS = 5.0
"""How long an operator waits for it."""


class Directory(Protocol):
    """Where a doctor is looked up."""

    async def find(self, rpps: str, name: str) -> InDirectory:
        """What it says of this number, and whether a name there is hers. Whatever goes wrong is UNREACHABLE."""


class AnnuaireSante:
    """The FHIR interface of the Agence du Numérique en Santé, version 2: `GET {base}/Practitioner?identifier=…`.

    A person has one resource for each exercise of hers; one that is active is enough.
    """

    def __init__(self, base_url: str, key: str) -> None:
        self._base, self._key = base_url.rstrip("/"), key

    async def find(self, rpps: str, name: str) -> InDirectory:
        headers = {"ESANTE-API-KEY": self._key, "Accept": "application/fhir+json"}
        try:
            async with httpx2.AsyncClient(timeout=SECONDS, headers=headers, verify=trusted()) as client:
                answer = await client.get(f"{self._base}/Practitioner", params={"identifier": rpps})
            answer.raise_for_status()
            found = _Bundle.model_validate_json(answer.content)
        except (httpx2.HTTPError, httpx2.InvalidURL, ValidationError):
            return InDirectory.UNREACHABLE
        return _said(found, rpps, name)


class _Name(BaseModel):
    family: str = ""


class _Identifier(BaseModel):
    value: str = ""


class _Practitioner(BaseModel):
    resourceType: str
    active: bool = False
    identifier: list[_Identifier] = []
    name: list[_Name] = []


class _Entry(BaseModel):
    resource: _Practitioner


class _Bundle(BaseModel):
    """What is read of an answer; any other form is refused."""

    resourceType: Literal["Bundle"]
    entry: list[_Entry] = []


def _said(bundle: _Bundle, rpps: str, name: str) -> InDirectory:
    hers = [
        each
        for each in (entry.resource for entry in bundle.entry)
        if each.resourceType == "Practitioner" and any(i.value == rpps for i in each.identifier)
    ]
    if not hers:
        return InDirectory.NOT_FOUND
    if not any(each.active for each in hers):
        return InDirectory.NOT_IN_EXERCISE
    known = set(words_of_name(name))
    families = (set(words_of_name(n.family)) for each in hers for n in each.name)
    return InDirectory.FOUND if any(family and family <= known for family in families) else InDirectory.OTHER_NAME
