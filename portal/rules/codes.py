"""Codes as FHIR tokens, `system|code`, written with one short name per system.

Only codes on a list may leave, and what leaves is the list's own spelling: `spellings` gives every way in which a
record may write one listed code, and the filter looks its value up among them.
"""

from portal.rules.words import Precision

SYSTEMS: dict[str, tuple[str, ...]] = {
    "sct": ("http://snomed.info/sct",),
    "rxnorm": ("http://www.nlm.nih.gov/research/umls/rxnorm",),
    "loinc": ("http://loinc.org",),
    "cim10": (
        "http://hl7.org/fhir/sid/icd-10",
        "https://smt.esante.gouv.fr/terminologie-cim-10",
        "urn:oid:2.16.840.1.113883.6.3",
    ),
    "atc": ("http://www.whocc.no/atc", "https://smt.esante.gouv.fr/terminologie-atc"),
    "cip13": ("https://smt.esante.gouv.fr/terminologie-cip_ucd",),
}
"""Short name → the URIs it goes by, FHIR's own first."""

DEFAULT_SYSTEM = {"diagnosis": "cim10", "prescription": "atc", "test_code": "loinc"}
"""What a bare code means in a column; in any other column a bare code means nothing and is on no list."""

NUMBER = r"-?(0|[1-9][0-9]{0,7})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?"
"""A number as test results hold it. At most eight digits before the point and no leading zero, so that no
telephone, RPPS, FINESS or INS number can pass for a result."""

PCS = r"[0-9]|[0-9][0-9]|[0-9][0-9][0-9][a-z]|[0-9][0-9][A-Z][0-9]"
"""Socio-professional category: a code of INSEE's PCS (group, category, or profession of 2003 or 2020)."""

_UNIT_NAMES = (
    "% /uL /mL 10*3/uL 10*6/uL 10*9/L 10*12/L 10*3/mm3 10*6/mm3 Cel cm d dB fL fmol g g/d g/dL g/L h IU/L IU/mL "
    "kat/L kg kg/m2 kU/L L L/min m2 mEq/L mg mg/d mg/dL mg/g mg/L mg/mmol min mIU/L m[IU]/L m[IU]/mL mL mL/min "
    "mL/min/{1.73_m2} mm mm/h mm[Hg] mmHg mmol mmol/L mmol/mol mol/L ms mU/L ng/dL ng/L ng/mL nkat/L nmol/L pg "
    "pg/mL pH [pH] pmol/L s U/L U/mL u[IU]/mL ug/dL ug/g ug/L ug/mL ukat/L umol/L {#} {INR} {SG} {copies}/mL "
    "{nominal} {presence} {ratio} {score} 1"
)
UNITS = frozenset(_UNIT_NAMES.split())
"""Units (UCUM) that may leave without a list of their own: a unit field is text, and a name may stand in one."""

_SHORT = {uri: short for short, uris in SYSTEMS.items() for uri in uris}

_CIM10_CHAPTERS = (
    ("A00", "I"), ("C00", "II"), ("D50", "III"), ("E00", "IV"), ("F00", "V"), ("G00", "VI"), ("H00", "VII"),
    ("H60", "VIII"), ("I00", "IX"), ("J00", "X"), ("K00", "XI"), ("L00", "XII"), ("M00", "XIII"), ("N00", "XIV"),
    ("O00", "XV"), ("P00", "XVI"), ("Q00", "XVII"), ("R00", "XVIII"), ("S00", "XIX"), ("U00", "XXII"),
    ("V01", "XX"), ("Z00", "XXI"),
)  # fmt: skip
"""First category of each chapter, in the order of the alphabet."""


def normalise(token: str, column: str = "") -> str | None:
    """`sct|123` from any spelling of it; None for a bare code in a column without a default system."""
    system, bar, code = token.strip().rpartition("|")
    short = _SHORT.get(system.rstrip("/"), system) if bar else DEFAULT_SYSTEM.get(column, "")
    if not short or not code:
        return None
    return f"{short}|{_dotted(code) if short == 'cim10' else code}"


def spellings(token: str, column: str) -> tuple[str, ...]:
    """Every way in which a record's column may write this (normalised) token."""
    system, _, code = token.rpartition("|")
    codes = sorted({code, code.replace(".", "")}) if system == "cim10" else [code]
    prefixes = [f"{name}|" for name in (system, *SYSTEMS.get(system, ()))]
    prefixes += [f"{uri}/|" for uri in SYSTEMS.get(system, ()) if uri.startswith("https://smt.")]
    if DEFAULT_SYSTEM.get(column) == system:
        prefixes.append("")
    return tuple(prefix + spelled for prefix in prefixes for spelled in codes)


def coarsen(token: str, precision: Precision) -> str | None:
    """A normalised token at this precision; None where its system has no such level (then nothing passes)."""
    system, _, code = token.rpartition("|")
    if precision is Precision.FULL:
        return token
    if precision is Precision.CATEGORY and system in {"cim10", "atc"}:
        return f"{system}|{code[:3]}"
    if precision is Precision.CHAPTER and system == "atc":
        return f"atc|{code[:1]}"
    if precision is Precision.CHAPTER and system == "cim10":
        chapters = [chapter for first, chapter in _CIM10_CHAPTERS if first <= code[:3].upper()]
        return f"cim10|{chapters[-1]}" if chapters else None
    return None


def _dotted(code: str) -> str:
    plain = code.replace(".", "")
    return f"{plain[:3]}.{plain[3:]}" if len(plain) > 3 else plain
