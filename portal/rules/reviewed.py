"""The shape of the files that `portal load` takes: reviewed by people, refused whole if anything is off."""

import datetime
from collections import Counter
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from portal.rules.bech32 import decode
from portal.rules.conditions import (
    AuthorisationConditions,
    Category,
    Country,
    K,
    NoticeCoverage,
    Slug,
    StudyConditions,
)
from portal.rules.toml_lines import Places
from portal.rules.words import BANNED_PURPOSES, Language, Purpose, Reader

Line = Annotated[str, StringConstraints(min_length=1, max_length=300, strip_whitespace=True)]
Prose = Annotated[str, StringConstraints(min_length=1, max_length=8000, strip_whitespace=True)]
Finess = Annotated[str, StringConstraints(pattern=r"^[0-9][0-9AB][0-9]{7}$")]


REQUIRED_ITEMS = frozenset({
    "controller", "representative", "dpo", "purposes", "legal_basis", "legitimate_interest", "data_categories",
    "pseudonymised", "source", "teleservice", "recipients", "transfers", "retention", "linkage",
    "automated_decisions", "voluntary", "mandatory", "how_to_object", "objection_effect", "consent_withdrawal",
    "rights", "complaint", "authorisation", "transparency", "recontact", "doctor_return", "minors", "after_death",
})  # fmt: skip
"""What a notice must say, or say why not (GDPR articles 13 and 14; DOMAIN §4, 3). The objection stands apart."""


class _Reviewed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ObservatoryFile(_Reviewed):
    id: Slug
    name: Line
    controller: Line
    contact: Line
    dpo_contact: Line
    phone: Line
    postal_address: Line
    active: bool = True
    register_max_days: int = Field(default=92, ge=1, le=400)


class AuthorisationFile(_Reviewed):
    id: Slug
    observatory: Slug
    reference: Line
    valid_from: date
    valid_until: date
    dpia_review_on: date | None = None
    conditions: AuthorisationConditions

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.valid_until < self.valid_from:
            raise PydanticCustomError("validity", "valid_until is before valid_from: mend one of the two days")
        return self


def _is_age_recipient(text: str) -> str:
    key = decode("age", text)
    if key is None or len(key) != 32:
        raise PydanticCustomError("age_recipient", "not an age public key: write age1…, as age-keygen prints it")
    return text


class RecipientFile(_Reviewed):
    """`age_recipient`: the public key for which releases are encrypted; without it none is sealed."""

    id: Slug
    name: Line
    category: Category
    country: Country
    contract_until: date
    age_recipient: Annotated[str, AfterValidator(_is_age_recipient)] | None = None


class StudyFile(_Reviewed):
    id: Slug
    observatory: Slug
    recipient: Slug
    title: Line
    question: Annotated[str, StringConstraints(min_length=10, max_length=600)]
    purpose: Purpose
    ethics_opinion: str = Field(default="", max_length=120)
    k: K
    conditions: StudyConditions

    @model_validator(mode="after")
    def _is_for_no_banned_use(self) -> Self:
        if self.purpose in BANNED_PURPOSES:
            raise PydanticCustomError("banned_purpose", f"{self.purpose} is banned by law: no study may have it")
        return self


class PracticeFile(_Reviewed):
    id: Slug
    finess: Finess
    name: Line
    city: str = Field(default="", max_length=120)


class Fact(_Reviewed):
    question: Line
    answer: Prose


class Section(_Reviewed):
    heading: Line
    text: Prose


class NotApplicable(_Reviewed):
    not_applicable: Line


class _Text(_Reviewed):
    observatory: Slug
    language: Language
    version: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}(\.[0-9])?$")]
    date: datetime.date
    title: Line


class AgreementFile(_Text):
    """What a doctor signs. `grace_until`: after that day older versions no longer count (G22)."""

    kind: Literal["agreement"]
    grace_until: datetime.date | None = None
    summary: tuple[Line, ...] = Field(min_length=3, max_length=9)
    sections: tuple[Section, ...] = Field(min_length=3)


class NoticeFile(_Text):
    """What a patient reads, with every required item present or marked not applicable with a reason.

    `material`: from its approval on, notices with an older version count no more, and everybody is told again (G52).
    """

    kind: Literal["notice"]
    material: bool = False
    reader: Reader
    objection: Prose
    covers: NoticeCoverage
    facts: tuple[Fact, ...] = Field(min_length=6)
    headings: dict[str, Line]
    items: dict[str, Prose | NotApplicable]

    @property
    def id(self) -> str:
        return f"{self.observatory}-{self.reader}-{self.language}-{self.version}"

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        missing = sorted(REQUIRED_ITEMS - self.items.keys())
        if missing:
            raise PydanticCustomError("missing_item", f"required items are missing: add {', '.join(missing)}")
        if bare := sorted(self.items.keys() - self.headings.keys()):
            raise PydanticCustomError("missing_heading", f"every item needs a heading: add one to {', '.join(bare)}")
        return self


Text = Annotated[AgreementFile | NoticeFile, Field(discriminator="kind")]
Governed = ObservatoryFile | RecipientFile | AuthorisationFile | StudyFile
"""What waits for a second person before it counts."""


class ReviewedFile(_Reviewed):
    """One file may hold any of these tables; ids are the authors' own slugs. A text has a file of its own."""

    observatory: tuple[ObservatoryFile, ...] = ()
    recipient: tuple[RecipientFile, ...] = ()
    authorisation: tuple[AuthorisationFile, ...] = ()
    study: tuple[StudyFile, ...] = ()
    practice: tuple[PracticeFile, ...] = ()
    text: tuple[Text, ...] = ()
    _places: Places = PrivateAttr(default_factory=Places)

    @model_validator(mode="after")
    def _holds_each_thing_once(self) -> Self:
        tables = (self.observatory, self.recipient, self.authorisation, self.study, self.practice)
        if not any((*tables, self.text)):
            raise PydanticCustomError("empty", "the file holds nothing: add an observatory, a study, a text …")
        for table in tables:
            twice = [key for key, n in Counter(each.id for each in table).items() if n > 1]
            if twice:
                raise PydanticCustomError("twice", f"the id stands twice: {', '.join(twice)}")
        return self

    def read_from(self, places: Places) -> Self:
        """The same, knowing where each key stands in its file."""
        copy = self.model_copy()
        copy._places = places
        return copy

    def place(self, *path: str | int) -> str:
        """Where something of this file stands, for a problem about it."""
        return self._places.of(*path)

    def governed(self) -> list[tuple[str, int, Governed]]:
        """(table, place in it, object), each after what it refers to."""
        tables: dict[str, tuple[Governed, ...]] = {
            "observatory": self.observatory,
            "recipient": self.recipient,
            "authorisation": self.authorisation,
            "study": self.study,
        }
        return [(name, place, each) for name, table in tables.items() for place, each in enumerate(table)]
