"""The elements of a Consent and of a transaction as they may come in: an allow-list. Whatever else stands in one is
refused, never passed over."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from portal.rules.people import is_birth
from portal.rules.waiting import midnight
from portal.web.api_forms import Form, Number

MOST_ENTRIES = 500

_DATE_TIME = re.compile(
    r"(?P<year>(?:19|20)\d\d)(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?P<time>T\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d))?)?)?"
)


def moment(text: str) -> datetime:
    """A FHIR dateTime; of a day, a month or a year its beginning in Paris. ValueError for what is none."""
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        raise ValueError("not a dateTime")
    day = date(int(found["year"]), int(found["month"] or 1), int(found["day"] or 1))
    if found["time"] is None:
        return midnight(day)
    cut = re.sub(r"(\.\d{6})\d+", r"\1", text)
    return datetime.fromisoformat(cut).astimezone(UTC)


def _is_moment(text: str) -> str:
    moment(text)
    return text


def _birth(text: str) -> str:
    """A day or a year; FHIR also knows a month of a year, of which the year is kept."""
    year = text[:4] if re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", text) else text
    if not is_birth(year):
        raise ValueError("not a birth date")
    return year


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("a text holds no NUL")
    return text


Text = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_no_nul)]
Long = Annotated[str, StringConstraints(min_length=1, max_length=20_000), AfterValidator(_no_nul)]
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]{1,64}$")]
DateTime = Annotated[str, AfterValidator(_is_moment)]


class Coding(Form):
    system: Text
    code: Text
    version: Text | None = None
    display: Text | None = None
    userSelected: bool | None = None


class Concept(Form):
    coding: Annotated[list[Coding], Field(min_length=1, max_length=5)]
    text: Text | None = None

    def of(self, allowed: frozenset[tuple[str, str]]) -> bool:
        """Whether every coding is one of these: a second one may say something else."""
        return all((one.system, one.code) in allowed for one in self.coding)


class Identifier(Form):
    system: Text
    value: Number
    use: Literal["usual", "official", "temp", "secondary"] | None = None
    type: Concept | None = None


class Reference(Form):
    reference: Text | None = None
    type: Literal["Patient", "RelatedPerson", "Organization"] | None = None
    identifier: Identifier | None = None
    display: Text | None = None


class Meta(Form):
    versionId: Text | None = None
    lastUpdated: Text | None = None
    source: Text | None = None
    profile: Annotated[list[Text], Field(min_length=1, max_length=5)] | None = None


class Narrative(Form):
    status: Literal["generated", "extensions", "additional", "empty"]
    div: Long


class Name(Form):
    use: Literal["usual", "official", "maiden"] | None = None
    family: Text
    given: Annotated[list[Text], Field(min_length=1, max_length=10)]
    text: Text | None = None
    prefix: list[Text] | None = None


class Contained(Form):
    """The person whom a partner names."""

    resourceType: Literal["Patient"]
    id: Id
    identifier: Annotated[list[Identifier], Field(min_length=1, max_length=5)] | None = None
    name: Annotated[list[Name], Field(min_length=1, max_length=3)]
    birthDate: Annotated[str, AfterValidator(_birth)]
    gender: Literal["male", "female", "other", "unknown"] | None = None


class Policy(Form):
    authority: Text | None = None
    uri: Text


class Provision(Form):
    """A whole no: none that is limited to a time, a purpose or an actor."""

    type: Literal["deny"]


class Consent(Form):
    """`meta`, `text`, `performer`, `organization` and `policy` are read and not kept."""

    resourceType: Literal["Consent"]
    id: Id | None = None
    meta: Meta | None = None
    text: Narrative | None = None
    language: Text | None = None
    contained: Annotated[list[Contained], Field(min_length=1, max_length=1)] | None = None
    identifier: Annotated[list[Identifier], Field(min_length=1, max_length=1)]
    status: Literal["active", "inactive"]
    scope: Concept
    category: Annotated[list[Concept], Field(min_length=1, max_length=5)]
    patient: Reference
    dateTime: DateTime | None = None
    performer: Annotated[list[Reference], Field(min_length=1, max_length=5)] | None = None
    organization: Annotated[list[Reference], Field(min_length=1, max_length=5)] | None = None
    policy: Annotated[list[Policy], Field(min_length=1, max_length=5)] | None = None
    policyRule: Concept | None = None
    provision: Provision


class Asking(Form):
    method: Literal["POST", "PUT"]
    url: Text
    ifNoneExist: Text | None = None


class Entry(Form):
    fullUrl: Text | None = None
    resource: Consent
    request: Asking


class Transaction(Form):
    resourceType: Literal["Bundle"]
    id: Id | None = None
    meta: Meta | None = None
    type: Literal["transaction"]
    timestamp: Text | None = None
    entry: Annotated[list[Entry], Field(min_length=1, max_length=MOST_ENTRIES)]
