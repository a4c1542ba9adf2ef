"""Who somebody is, read from the claims of an identity provider, Pro Santé Connect's shape included."""

import re
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from portal.rules.refusals import Refused

PHYSICIAN = "10"
_RPPS = re.compile(r"8(\d{11})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Site:
    """A place where somebody practises: FINESS and SIRET as text, either may be empty, never both and `structure`."""

    finess: str
    siret: str
    structure: str
    name: str
    profession: str
    role: str


@dataclass(frozen=True, slots=True)
class Identity:
    """A proved identity. `subject` is unique within `issuer`; `id_token` is only for signing out."""

    issuer: str
    subject: str
    given_name: str
    family_name: str
    email: str | None
    rpps: str | None
    acr: str
    amr: frozenset[str]
    sites: tuple[Site, ...]
    id_token: str = field(default="", repr=False, compare=False)


def _text_or_empty(value: object) -> object:
    return "" if value is None else value.strip() if isinstance(value, str) else value


def _list_or_empty(value: object) -> object:
    return [] if value in (None, "") else value


_Text = Annotated[str, BeforeValidator(_text_or_empty), Field(max_length=1000)]


class _Activity(BaseModel):
    numeroFinessSite: _Text = ""
    numeroSiretSite: _Text = ""
    identifiantTechniqueDeLaStructure: _Text = ""
    raisonSocialeSite: _Text = ""
    codeModeExercice: _Text = ""


class _Exercise(BaseModel):
    codeProfession: _Text = ""
    activities: Annotated[list[_Activity], BeforeValidator(_list_or_empty)] = []


class _Reference(BaseModel):
    exercices: Annotated[list[_Exercise], BeforeValidator(_list_or_empty)] = []


class _Claims(BaseModel):
    """Missing values come as empty strings; any other shape than this one is refused."""

    sub: _Text
    given_name: _Text = ""
    family_name: _Text = ""
    email: _Text = ""
    email_verified: bool = False
    SubjectNameID: _Text = ""
    SubjectRefPro: Annotated[_Reference, BeforeValidator(lambda value: value or {})] = _Reference()


def read_identity(
    userinfo: dict[str, Any], *, issuer: str, acr: str, amr: frozenset[str], doctors_only: bool, id_token: str
) -> Identity:
    """The identity in a provider's userinfo. `sites` are those of a physician's exercises, each once.

    With `doctors_only`, whoever has no physician's exercise or no RPPS number is refused: `not_a_doctor`.
    """
    try:
        claims = _Claims.model_validate(userinfo)
    except ValidationError:
        raise Refused("provider_answer", "The identity provider's answer has another form.", status=502) from None
    physician = [each for each in claims.SubjectRefPro.exercices if each.codeProfession == PHYSICIAN]
    number = _RPPS.fullmatch(claims.SubjectNameID)
    if doctors_only and (not physician or not number):
        raise Refused("not_a_doctor", "This account has no exercise as a physician in the register.", status=403)
    return Identity(
        issuer=issuer,
        subject=claims.sub,
        given_name=claims.given_name,
        family_name=claims.family_name,
        email=claims.email.lower() if claims.email and claims.email_verified else None,
        rpps=number[1] if number else None,
        acr=acr,
        amr=amr,
        sites=_sites(physician),
        id_token=id_token,
    )


def _sites(exercises: list[_Exercise]) -> tuple[Site, ...]:
    found = (
        Site(
            finess=activity.numeroFinessSite,
            siret=activity.numeroSiretSite,
            structure=activity.identifiantTechniqueDeLaStructure,
            name=activity.raisonSocialeSite,
            profession=exercise.codeProfession,
            role=activity.codeModeExercice,
        )
        for exercise in exercises
        for activity in exercise.activities
    )
    return tuple(dict.fromkeys(site for site in found if site.finess or site.siret or site.structure))
