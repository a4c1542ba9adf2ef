"""What can be wrong with a register: each code with its sentence, gathered so that a file is mended at once."""

from portal.rules.refusals import Problem, RefusedFile

LISTED = 1_000  # problems named one by one

WHAT = {
    "bad_country": "not a country of ISO 3166: write two letters, such as FR",
    "bad_csv": "the quotes do not close, or text follows a closing quote",
    "bad_date": "not a day that exists: write YYYY-MM-DD (a birth may be a year alone)",
    "bad_email": "not an e-mail address",
    "bad_gzip": "the compressed file is cut short or damaged: send it again",
    "bad_json": "not one JSON value on the line",
    "bad_language": "the language is fr or en",
    "bad_person_key": "not an INS with the right key, nor an identifier of 64 visible characters at most",
    "bad_phone": "not a telephone number: write it with its country code, or as dialled in France",
    "bad_rank": "the rank is a whole number from 1 to 9; 1 is the representative of the register",
    "bad_representative_kind": "the kind is parent, guardian or mandate",
    "bad_sex": "the sex is female, male, other or unknown",
    "bad_shape": "the element does not have its FHIR form",
    "bad_unreachable_reason": "the reason is unknown_address, no_contact, abroad, incapacitated or court_order",
    "before_1880": "a birth before 1880: correct the year",
    "control_character": "a character that does not print: remove it",
    "date_in_future": "the date is after today",
    "deceased_without_date": "the patient is marked as deceased: give the day, in deceasedDateTime",
    "died_before_birth": "the death is before the birth",
    "duplicate_column": "the column stands twice",
    "duplicate_patient_id": "another row above has the same number",
    "duplicate_rank": "another row above has the same patient and rank",
    "empty_file": "nothing in the file",
    "missing_column": "the column is required",
    "missing_value": "the value is required",
    "more_problems": "more problems are not listed: mend those above first",
    "no_file": "there is no such file",
    "no_header": "the first line names no column of a register, parted by commas or semicolons",
    "no_patient_file": "the folder must hold one Patient.ndjson or Patient.ndjson.gz",
    "no_patient_of_practice": "no patient in the file belongs to this practice",
    "no_practice_number": "no identifier holds this practice's own number for the patient",
    "no_rows": "columns but no patient: a register without patients would mark everybody as left",
    "not_a_patient_resource": "not a FHIR Patient",
    "not_utf8": "not UTF-8 text: save the file as CSV UTF-8",
    "rank_one_differs": "rank 1 must be the representative whom the register names, by kind and name",
    "representative_without_kind": "a representative needs a kind: parent, guardian or mandate",
    "representative_without_name": "a representative needs a name",
    "same_holder_twice": "another row above names the same holder of this patient",
    "several_representatives": "more than one holder of authority: send a CSV register, and the others by --holders",
    "too_large": "the file is larger than a register can be",
    "too_long": "the value is longer than its column allows",
    "unknown_column": "not a column of a register",
    "unknown_patient": "no row of the register has this number",
    "unknown_format": "a register is a .csv, .parquet or .ndjson file, or a FHIR Bulk Data folder",
    "unreadable_parquet": "not a Parquet file, or a damaged one",
    "wrong_number_of_fields": "not as many fields as the header has columns",
    "wrong_type": "the column must hold text (a date may be a Parquet date)",
}


class Faults:
    """Everything wrong with one file: each place is named up to LISTED, the rest is counted."""

    def __init__(self) -> None:
        self._listed: list[Problem] = []
        self._unlisted = 0

    def add(self, code: str, where: str) -> None:
        if len(self._listed) < LISTED:
            self._listed.append(Problem(code, where, WHAT[code]))
        else:
            self._unlisted += 1

    def refuse_if_any(self) -> None:
        """RefusedFile with every place, if there is one."""
        if self._unlisted:
            rest = Problem("more_problems", "the file", f"{self._unlisted} {WHAT['more_problems']}")
            raise RefusedFile([*self._listed, rest])
        if self._listed:
            raise RefusedFile(self._listed)


def refuse(code: str, where: str) -> RefusedFile:
    """The refusal of a file for one reason."""
    return RefusedFile([Problem(code, where, WHAT[code])])
