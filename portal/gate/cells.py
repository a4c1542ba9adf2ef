"""How one cell of a record is read: expressions over a text, each with what makes it unreadable.

A problem is `code|column`; the first of a row is the one reported.
"""

from collections.abc import Iterable

from portal.rules.codes import NUMBER, PCS
from portal.rules.words import Provenance, Sex

RECORD_COLUMNS = {
    "practice_id": "VARCHAR", "patient_id": "VARCHAR", "doctor_id": "VARCHAR", "recorded_on": "DATE",
    "provenance": "VARCHAR", "year_of_birth": "DOUBLE", "sex": "VARCHAR", "socio_professional_category": "VARCHAR",
    "allergy": "VARCHAR", "medical_history": "VARCHAR", "height_cm": "DOUBLE", "weight_kg": "DOUBLE",
    "diagnosis": "VARCHAR", "prescription": "VARCHAR", "sick_leave_days": "DOUBLE", "test_code": "VARCHAR",
    "test_value": "VARCHAR", "test_unit": "VARCHAR",
}  # fmt: skip
"""The flat record form and its types once read; `line` and `problem` come after."""

NUMBERS = tuple(name for name, kind in RECORD_COLUMNS.items() if kind == "DOUBLE")

UNREADABLE = "'?'"
"""Stands for a result that is there and neither a number nor a code; it is on no list."""

CALENDAR = "DATE '0001-01-01' AND DATE '9999-12-31'"
"""The days that there are."""

_PLAIN = "-?[0-9]{1,15}([.][0-9]{1,30})?([eE][+-]?[0-9]{1,2})?"
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_ZONE = "(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)"
_INSTANT = _DAY + "T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]+)?)?" + _ZONE
"""What FHIR allows, but the leap second: a day has no hour 24, and no place is further than 14 hours from Greenwich."""


def day(cell: str) -> str:
    """ISO day, or the day in Europe/Paris of an ISO instant with its zone; NULL for anything else."""
    seconds = f"CASE WHEN substr({cell}, 17, 1) = ':' THEN '' ELSE ':00' END"
    instant = f"TRY_CAST(substr({cell}, 1, 16) || {seconds} || substr({cell}, 17) AS TIMESTAMPTZ)"
    return (
        f"CASE WHEN regexp_full_match({cell}, '{_DAY}') THEN TRY_CAST({cell} AS DATE)"
        f" WHEN regexp_full_match({cell}, '{_INSTANT}') THEN {paris_day(instant)} END"
    )


def paris_day(instant: str) -> str:
    return f"CAST(timezone('Europe/Paris', {instant}) AS DATE)"


def partial_day(cell: str) -> str:
    """A year or a month alone, which FHIR allows: readable, but no day."""
    return f"regexp_full_match({cell}, '[0-9]{{4}}(-[0-9]{{2}})?')"


def number(cell: str) -> str:
    """A number of any size; NULL for anything else. What a column may hold is for its bounds to say."""
    return f"CASE WHEN regexp_full_match({cell}, '{_PLAIN}') THEN TRY_CAST({cell} AS DOUBLE) END"


def is_number(cell: str) -> str:
    """A number as a test result may be (rules/codes.py)."""
    return f"regexp_full_match({cell}, '{NUMBER}')"


def provenance(cell: str) -> str:
    """One of the words; anything else, and nothing, is unknown."""
    return f"CASE WHEN {cell} IN ({_words(Provenance)}) THEN {cell} ELSE 'unknown' END"


def is_sex(cell: str) -> str:
    return f"{cell} IN ({_words(Sex)})"


def is_category(cell: str) -> str:
    return f"regexp_full_match({cell}, '{PCS}')"


def problem(checks: Iterable[tuple[str, str]]) -> str:
    """The first check that fails, as `code|column`; NULL when the row can be read."""
    cases = " ".join(f"WHEN {fails} THEN '{said}'" for said, fails in checks)
    return f"CASE {cases} END"


def _words(words: Iterable[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)
