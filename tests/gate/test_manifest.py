"""The papers of a release: what a recipient is told, small counts masked, and nothing of why somebody is not in it."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import made
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from portal.gate import manifest
from portal.gate.disclosure import Disclosure, Shared, Subset
from portal.gate.folders import files_below, sha256_of
from portal.gate.manifest import CLASSES, counts_csv, head_of, mask, masked, persons_in, write_release_files
from portal.gate.permit import ColumnTerm
from portal.gate.readme import readme
from portal.gate.signature import verified
from portal.rules.clearance import LATER_CODES, RULES
from portal.rules.facts import BatchFacts
from portal.rules.words import Precision

MEASURED = Disclosure(
    ("sex", "year_of_birth"), 5, 40, 6, 3, 4, ((6, 1), (17, 2)), (Subset(("sex",), 2, 1, 1),), (Shared("diagnosis", 1),)
)
TERMS = made.release_terms()


@pytest.mark.parametrize(("n", "shown"), [(0, "<11"), (10, "<11"), (11, "11"), (1200, "1200")])
def test_a_small_number_is_masked_and_none_is_small(n: int, shown: str) -> None:
    assert mask(n) == shown


def test_the_limit_may_be_higher() -> None:
    assert (mask(11, below=20), mask(20, below=20)) == ("<20", "20")
    assert masked({"G50": 15}, below=20)["notice"] == "<20"


def test_persons_are_told_by_class_and_never_by_code() -> None:
    said = masked({"G41": 6, "G45": 6, "G50": 31, "G61": 1, "G20": 0})
    assert said == {"practice": "<11", "record": "<11", "person": "12", "notice": "31", "output": "<11"}
    assert counts_csv(said) == b"class,persons\nnotice,31\noutput,<11\nperson,12\npractice,<11\nrecord,<11\n"


def test_every_reason_of_a_person_or_a_record_is_in_one_class() -> None:
    listed = [code for codes in CLASSES.values() for code in codes]
    assert len(set(listed)) == len(listed)
    assert set(listed) == {r.code for r in RULES if r.grain is not BatchFacts} | LATER_CODES.keys() - {"G11"}


def test_the_head_says_what_the_terms_said() -> None:
    head = head_of(TERMS, release_id="r", permit_sha256="s", version=3, more={"a": 1})
    assert (head.release_id, head.permit_sha256, head.version, head.more) == ("r", "s", 3, {"a": 1})
    assert (head.study_id, head.observatory_id, head.cut, head.rule_version, head.period_from, head.period_until) == (
        "study-1", "observatory-1", 17, "rules-1", date(2024, 1, 1), date(2026, 10, 31),
    )  # fmt: skip
    plain = head_of(made.TERMS, release_id="r", permit_sha256="s")
    assert (plain.study_id, plain.version, plain.more) == ("", 1, {})


# --- the files -------------------------------------------------------------------------------------------------------


@pytest.fixture
def part(tmp_path: Path) -> Path:
    (tmp_path / "records").mkdir()
    for name, pseudonyms in (("0", ["a", "a", "b"]), ("1", ["b", "c"])):
        pq.write_table(pa.table({"pseudonym": pseudonyms}), tmp_path / "records" / f"{name}.parquet")
    return tmp_path


def write(part: Path, **changes: Any) -> dict[str, Any]:
    head = head_of(TERMS, release_id="release-1", permit_sha256="ff", more={"approval": "dpo:2"})
    given: dict[str, Any] = {
        "head": head, "terms": TERMS, "refused": {"G50": 31}, "disclosure": MEASURED, "key": made.KEY, **changes,
    }  # fmt: skip
    sha256 = write_release_files(part, **given)
    content = (part / "manifest.json").read_bytes()
    assert sha256 == sha256_of(part / "manifest.json")
    assert verified("portal-manifest", (part / "manifest.jws").read_bytes(), made.KEY.public_key()) == content
    return dict(json.loads(content))


def test_the_manifest_says_what_it_is_a_manifest_of(part: Path) -> None:
    said = write(part)
    files = said.pop("files")
    assert said == {
        "release_id": "release-1", "version": 1, "study_id": "study-1", "observatory_id": "observatory-1",
        "permit_sha256": "ff", "cut": 17, "rule_version": "rules-1", "period_from": "2024-01-01",
        "period_until": "2026-10-31", "more": {"approval": "dpo:2"}, "format": "observatory-portal release 1",
        "nature": "pseudonymised personal data",
        "columns": {
            "pseudonym": "of this study", "recorded_week": "week", "year_of_birth": "decade", "sex": "full",
            "diagnosis": "full", "prescription": "full", "height_cm": "five", "test_code": "full", "test_value": "full",
            "test_unit": "full",
        },
        "counts": masked({"G50": 31}), "k_min": 6, "uniques": 3, "quasi_identifiers": ["sex", "year_of_birth"],
        "criteria": MEASURED.criteria(), "persons": 3, "rows": 5,
    }  # fmt: skip
    assert files == {
        **{f"records/{n}.parquet": {"rows": rows, "sha256": sha256_of(part / "records" / f"{n}.parquet")}
           for n, rows in (("0", 3), ("1", 2))},
        **{paper: {"sha256": sha256_of(part / paper)} for paper in ("counts.csv", "disclosure.json", "README.md")},
    }  # fmt: skip
    assert (part / "README.md").read_text().startswith("# release-1: pseudonymised personal data\n\nStudy: study-1.")
    assert set(files_below(part)) == files.keys() | {"manifest.json", "manifest.jws"}


def test_the_columns_are_named_as_they_leave(part: Path) -> None:
    terms = replace(TERMS, columns=(ColumnTerm("recorded_on", Precision.MONTH), ColumnTerm("sex", Precision.FULL)))
    assert write(part, terms=terms)["columns"] == {
        "pseudonym": "of this study",
        "recorded_month": "month",
        "sex": "full",
    }


def test_the_measures_and_what_they_cost_stand_in_a_paper_of_their_own(part: Path) -> None:
    write(part, cost={"suppressed_persons": "<11"})
    said = json.loads((part / "disclosure.json").read_text())
    assert said["nature"] == "pseudonymised personal data"
    assert said["measured"] == {
        "quasi_identifiers": ["sex", "year_of_birth"], "least": 5, "persons": 40, "k_min": 6, "uniques": 3,
        "persons_below": 4, "sizes": [[6, 1], [17, 2]],
        "subsets": [{"quasi_identifiers": ["sex"], "k_min": 2, "uniques": 1, "persons_below": 1}],
        "shared": [{"column": "diagnosis", "cells": 1}],
    }  # fmt: skip
    assert said["precision"]["height_cm"] == "five"
    assert said["cost"] == {"suppressed_persons": "<11"}
    write(part)
    assert json.loads((part / "disclosure.json").read_text())["cost"] == {}


def test_a_table_is_listed_where_there_is_one(part: Path) -> None:
    said = write(part, aggregates=b"sex,persons\n*,40\n", mask_below=40)
    assert (part / "aggregates.csv").read_bytes() == b"sex,persons\n*,40\n"
    assert said["files"]["aggregates.csv"] == {"sha256": sha256_of(part / "aggregates.csv")}
    assert said["counts"]["notice"] == "<40"
    assert set(manifest.LISTED) <= said["files"].keys()


def test_a_person_in_two_files_is_one(part: Path) -> None:
    assert persons_in(sorted((part / "records").iterdir())) == 3


def test_the_readme_tells_the_measures_in_both_languages() -> None:
    said = readme("release-1", "study-1", MEASURED, {"pseudonym": "of this study", "sex": "full"})
    english, french = said.split("\n---\n")
    for text in (english, french):
        assert "release-1" in text
        assert "study-1" in text
        assert "`sex`, `year_of_birth`" in text
        assert "`diagnosis` 1" in text
        for number in ("40", " 6", " 3", " 2", "5 persons" if text is english else "5 personnes"):
            assert number in text
    assert "persons alone in their group: 3. By any four of these values: 2." in english
    assert "Of 3 groups, those that do: `diagnosis` 1." in english
    two = replace(MEASURED, shared=(Shared("diagnosis", 1), Shared("allergy", 2)))
    assert "those that do: `diagnosis` 1, `allergy` 2." in readme("r", "s", two, {})
    assert "- `pseudonym`: of this study\n- `sex`: full" in english
    bare = replace(MEASURED, quasi_identifiers=(), subsets=(), shared=())
    assert "By any four of these values: 6." in readme("r", "s", bare, {})
    assert "those that do: –." in readme("r", "s", bare, {})
    assert "quasi-identifiers –:" in readme("r", "s", bare, {})
