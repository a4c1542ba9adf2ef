"""Does what a reviewed file says fit what stands beside it? Every misfit, with its place in the file."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from pydantic import ValidationError

from portal.rules.conditions import Asks, AuthorisationConditions, beyond
from portal.rules.refusals import Problem
from portal.rules.reviewed import AuthorisationFile, ReviewedFile, StudyFile

Standing = Mapping[tuple[str, str], Mapping[str, Any]]
"""What stands, by kind and id, in the form of its file."""


def precedence(valid_from: date, valid_until: date, today: date) -> tuple[bool, date]:
    """The authorisation that decides is the greatest: one that is valid today before any other, then the longest."""
    return valid_from <= today <= valid_until, valid_until


def with_file(standing: Standing, reviewed: ReviewedFile) -> dict[tuple[str, str], Mapping[str, Any]]:
    """What would stand if the file were approved. Its authorisations stand in the place of their observatories'."""
    named = {a.observatory for a in reviewed.authorisation}
    kept = {
        key: body for key, body in standing.items() if not (key[0] == "authorisation" and body["observatory"] in named)
    }
    return kept | {(kind, each.id): each.model_dump(mode="json") for kind, _, each in reviewed.governed()}


def misfits(reviewed: ReviewedFile, standing: Standing, today: date) -> list[Problem]:
    """References that lead nowhere, an object that changes its observatory, and all that a study asks for beyond its
    authorisation. `standing` holds no suspended authorisation."""
    after = with_file(standing, reviewed)
    found: list[Problem] = []
    for place, given in enumerate(reviewed.authorisation):
        found += _references(reviewed, ("authorisation", place), given, standing, after)
    for place, study in enumerate(reviewed.study):
        found += _references(reviewed, ("study", place), study, standing, after)
        found += _differences(reviewed, place, study, after, today)
    return found


def _references(
    reviewed: ReviewedFile,
    at: tuple[str, int],
    each: AuthorisationFile | StudyFile,
    standing: Standing,
    after: Standing,
) -> Iterator[Problem]:
    refers = {"observatory": each.observatory}
    if isinstance(each, StudyFile):
        refers["recipient"] = each.recipient
    for kind, key in refers.items():
        if (kind, key) not in after:
            what = f"there is no {kind} of this id: load it, or have its draft approved, first"
            yield Problem(f"unknown_{kind}", reviewed.place(*at, kind), what)
    before = standing.get((at[0], each.id))
    if before is not None and before["observatory"] != each.observatory:
        what = f"the {at[0]} belongs to another observatory: give it an id of its own"
        yield Problem("other_observatory", reviewed.place(*at, "observatory"), what)


def _differences(
    reviewed: ReviewedFile, place: int, study: StudyFile, after: Standing, today: date
) -> Iterator[Problem]:
    given = conditions_of(_deciding(after, study.observatory, today))
    if given is None:
        what = "the observatory has no authorisation on file that can be read: load one first"
        yield Problem("G02", reviewed.place("study", place, "observatory"), what)
        return
    for each in beyond(asks_of(study, after.get(("recipient", study.recipient))), given):
        yield Problem(each.code, reviewed.place("study", place, *each.at), each.what)


def asks_of(study: StudyFile, recipient: Mapping[str, Any] | None) -> Asks:
    category, country = (recipient["category"], recipient["country"]) if recipient else (None, None)
    return Asks(study.purpose, study.k, category, country, study.conditions)


def conditions_of(authorisation: Mapping[str, Any] | None) -> AuthorisationConditions | None:
    """None where there is none, or none that can be read: what is not known gives nothing."""
    if authorisation is None:
        return None
    try:
        return AuthorisationConditions.model_validate(authorisation["conditions"])
    except ValidationError:
        return None


def _deciding(after: Standing, observatory: str, today: date) -> Mapping[str, Any] | None:
    theirs: Iterable[Mapping[str, Any]] = (
        body for (kind, _), body in after.items() if kind == "authorisation" and body["observatory"] == observatory
    )
    return max(
        theirs,
        key=lambda a: precedence(date.fromisoformat(a["valid_from"]), date.fromisoformat(a["valid_until"]), today),
        default=None,
    )
