"""The directory of health professionals, asked over HTTP at a real server that gives recorded answers."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from answering import serving

from portal.outside.directory import AnnuaireSante
from portal.rules.words import InDirectory as Said

RECORDED = json.loads((Path(__file__).parent / "annuaire_practitioner.json").read_text(encoding="utf-8"))
"""A search's answer in the form of the implementation guide's published example (AS Practitioner); nobody's data."""
RPPS = "10003461033"


def changed(**changes: Any) -> bytes:
    """The recorded answer, its one practitioner changed."""
    entry = RECORDED["entry"][0]
    return json.dumps({**RECORDED, "entry": [{**entry, "resource": {**entry["resource"], **changes}}]}).encode()


async def test_it_is_asked_for_the_number_with_the_key(tmp_path: Path) -> None:
    with serving(changed()) as (base, asked):
        assert await AnnuaireSante(f"{base}/", "the-key").find(RPPS, "Arthur SAUCIER") is Said.FOUND
    [(path, key)] = asked
    assert (urlsplit(path).path, parse_qs(urlsplit(path).query)) == ("/fhir/v2/Practitioner", {"identifier": [RPPS]})
    assert key == "the-key"


@pytest.mark.parametrize(
    ("answer", "name", "said"),
    [
        (changed(), "Arthur Saucier", Said.FOUND),
        (changed(), "Arthur SAUCIER-DUPONT", Said.FOUND),
        (changed(name=[{"family": "Lœuf"}]), "Marie LOEUF", Said.FOUND),
        (changed(), "Arthur Martin", Said.OTHER_NAME),
        (changed(), "", Said.OTHER_NAME),
        (changed(name=[{"family": ""}]), "Arthur Saucier", Said.OTHER_NAME),
        (changed(active=False), "Arthur Saucier", Said.NOT_IN_EXERCISE),
        (changed(identifier=[{"value": "10003461034"}]), "Arthur Saucier", Said.NOT_FOUND),
        (b'{"resourceType": "Bundle", "total": 0}', "Arthur Saucier", Said.NOT_FOUND),
        (b'{"resourceType": "OperationOutcome"}', "Arthur Saucier", Said.UNREACHABLE),
        (b"<html>", "Arthur Saucier", Said.UNREACHABLE),
        (b"[]", "Arthur Saucier", Said.UNREACHABLE),
    ],
    ids=["found", "double name", "ligature", "other name", "no name", "no family", "ended", "other number", "nobody",
         "outcome", "html", "list"],
)  # fmt: skip
async def test_what_it_says(answer: bytes, name: str, said: Said) -> None:
    with serving(answer) as (base, _):
        assert await AnnuaireSante(base, "key").find(RPPS, name) is said


@pytest.mark.parametrize("status", [401, 429, 500])
async def test_a_refusal_is_no_answer(status: int) -> None:
    with serving(changed(), status) as (base, _):
        assert await AnnuaireSante(base, "key").find(RPPS, "Arthur Saucier") is Said.UNREACHABLE


@pytest.mark.parametrize("base", ["http://127.0.0.1:9/fhir", "no address", "http://[::bad"])
async def test_nobody_there_is_no_answer(base: str) -> None:
    assert await AnnuaireSante(base, "key").find(RPPS, "Arthur Saucier") is Said.UNREACHABLE
