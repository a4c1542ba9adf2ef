"""The facts of a record in SQL equal those of a plain reading of DOMAIN §6, on random records and terms."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import made
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.gate.columns import read_records
from portal.gate.engine import Limits, engine
from portal.gate.record_facts import facts, judged, load_allowed, load_terms
from portal.gate.terms import DoctorSpan, Terms
from portal.rules.clearance import decide, first_reason
from portal.rules.facts import Code, Dated, Origin, RecordDoctor, RecordFacts

DAYS = st.integers(0, 12).map(lambda n: date(2025, 1, 1) + timedelta(n))
SPANS = st.one_of(
    st.tuples(DAYS, st.integers(0, 8)).map(lambda span: (span[0], span[0] + timedelta(span[1]))),
    st.tuples(DAYS, st.none()),
    st.tuples(st.none(), DAYS),
    st.just((None, None)),
)

RECORDS = st.fixed_dictionaries(
    {
        "practice_id": st.sampled_from(["p1", "p2", "p3"]),
        "patient_id": st.sampled_from(["001", "002"]),
        "doctor_id": st.sampled_from([None, "d1", "d2", "d3"]),
        "recorded_on": st.none() | DAYS,
        "provenance": st.sampled_from(["entered", "imported", "teleservice_auto", "unknown", "odd", None]),
        "year_of_birth": st.sampled_from([None, 1987, 2300]),
        "diagnosis": st.sampled_from([None, "J45.0", "J450", "cim10|J45.0", "sct|195967001", "Z59.0"]),
        "prescription": st.sampled_from([None, "R03AC02", "atc|N02BE01"]),
        "height_cm": st.sampled_from([None, 19.9, 20.0, 172.5, 281.0]),
        "test_code": st.sampled_from([None, "2571-8", "loinc|72166-2", "32624-9"]),
        "test_value": st.sampled_from([None, "12", "-3.5e2", "123456789", "sct|266919005", "sct|1", "refugee"]),
        "test_unit": st.sampled_from([None, "mg/dL", "Mme Collet"]),
    }
).map(lambda changes: made.record(**changes, sex=None))

TERMS = st.builds(
    lambda doctors, unnamed, period, columns, provenance: replace(
        made.TERMS,
        practices=("p1", "p2", "p3"),
        doctors=tuple(
            DoctorSpan(practice, doctor, made.pseudonym(doctor), *span) for (practice, doctor), span in doctors.items()
        ),
        unnamed_doctor_ok=tuple(unnamed),
        period_from=min(period),
        period_until=max(period),
        columns=tuple(c for c in made.TERMS.columns if c.name in columns),
        provenance=tuple(provenance),
    ),
    st.dictionaries(st.tuples(st.sampled_from(["p1", "p2"]), st.sampled_from(["d1", "d2"])), SPANS),
    st.sets(st.sampled_from(["p1", "p2", "p3"])),
    st.tuples(DAYS, DAYS),
    st.sets(st.sampled_from([c.name for c in made.TERMS.columns]), min_size=1),
    st.sets(st.sampled_from(made.TERMS.provenance), min_size=1),
)


def reference(r: dict[str, Any], terms: Terms, spans: made.Spans) -> RecordFacts:
    """The facts in plain Python."""
    site = [d for d in terms.doctors if d.practice_id == r["practice_id"]]
    named = [d for d in site if d.doctor_id == r["doctor_id"]]
    every = site if r["practice_id"] in terms.unnamed_doctor_ok else []
    common = [day for day in _calendar() if all(oracle._within(day, _span(d)) for d in every)]
    covered = named if r["doctor_id"] else every if common else []
    day = r["recorded_on"]
    if day is None:
        dated = Dated.UNKNOWN
    elif covered and not all(oracle._within(day, _span(d)) for d in covered):
        dated = Dated.OUTSIDE_ENROLMENT
    elif not terms.period_from <= day <= terms.period_until:
        dated = Dated.OUTSIDE_PERIOD
    elif spans and not any(oracle._within(day, span) for span in spans):
        dated = Dated.OBJECTED_SPAN
    else:
        dated = Dated.WITHIN
    words = {word.value for word in terms.provenance}
    automatic = r["provenance"] == "teleservice_auto"
    return RecordFacts(
        origin=Origin.ALLOWED if r["provenance"] in words else Origin.TELESERVICE_AUTO if automatic else Origin.UNKNOWN,
        dated=dated,
        doctor=(RecordDoctor.ENROLLED if named else RecordDoctor.COLLEAGUE)
        if r["doctor_id"]
        else (RecordDoctor.UNNAMED_ALL_ENROLLED if covered else RecordDoctor.UNNAMED),
        code=Code.LISTED if _listed(r, terms) else Code.NOT_LISTED,
    )


def _span(doctor: DoctorSpan) -> tuple[date | None, date | None]:
    return doctor.recorded_from, doctor.recorded_until


def _calendar() -> list[date]:
    """Every day that the spans can begin or end with, and one on each side."""
    return [date(2024, 12, 31) + timedelta(n) for n in range(23)]


def _listed(r: dict[str, Any], terms: Terms) -> bool:
    columns = {c.name: c.codes for c in terms.columns}
    outside = {"year_of_birth": (1850, 2200), "height_cm": (20, 280)}
    return oracle._listed(r, columns) and all(
        r[name] is None or low <= r[name] <= high for name, (low, high) in outside.items() if name in columns
    )


@pytest.mark.shows("R4")
@settings(max_examples=40, deadline=None)
@given(records=st.lists(RECORDS, min_size=1, max_size=30), terms=TERMS, spans=st.lists(SPANS, min_size=1, max_size=3))
def test_facts_in_sql_are_the_facts_in_python(records: list[dict[str, Any]], terms: Terms, spans: made.Spans) -> None:
    allowed: made.Allowed = {("p1", "001"): (made.pseudonym("one"), spans)}
    with TemporaryDirectory() as name, engine(Limits(threads=1)) as con:
        folder = Path(name)
        permit = made.permit(folder / "permit", terms, allowed)
        path = made.write_parquet(folder / "records.parquet", records)
        load_terms(con, terms)
        read_records(con, [path], [c.name for c in terms.columns])
        load_allowed(con, permit)
        con.execute(f"CREATE TABLE found AS {facts(terms)}")
        found = con.execute(
            "SELECT practice_id, patient_id, doctor_id, recorded_on, origin, dated, doctor, code FROM found"
        ).fetchall()
        reasons = con.execute(f"SELECT reason, count(*) FROM ({judged(terms)}) GROUP BY ALL ORDER BY ALL").fetchall()
    wanted = [reference(r, terms, allowed.get((r["practice_id"], r["patient_id"]), ("", []))[1]) for r in records]
    keys = ("practice_id", "patient_id", "doctor_id", "recorded_on")
    rows = [
        (*(r[key] for key in keys), *(int(getattr(fact, name)) for name in ("origin", "dated", "doctor", "code")))
        for r, fact in zip(records, wanted, strict=True)
    ]
    assert sorted(found, key=repr) == sorted(rows, key=repr)
    firsts = [first_reason(decide(fact)) for fact in wanted]
    assert dict(reasons) == {reason: firsts.count(reason) for reason in firsts}
