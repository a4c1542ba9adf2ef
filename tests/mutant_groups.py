"""Which tests belong to which modules, when small faults are put into them (tests/mutants.py)."""

from dataclasses import dataclass

EXHAUSTIVE = tuple(
    f"tests/rules/test_clearance.py::{name}"
    for name in (
        "test_a_person_passes_only_when_told_not_objecting_enrolled_and_known",
        "test_a_release_passes_only_with_every_study_fact_and_an_extraction_may_have_none",
        "test_who_said_no_is_shown_her_no_before_any_missing_notice",
        "test_key_and_facts_are_inverse_and_keys_leave_no_gap[PersonFacts]",
        "test_a_key_outside_the_space_is_refused[PersonFacts]",
        "test_what_passes_has_the_key_zero_and_nothing_else_has",
        "test_the_table_says_what_decide_says[person]",
    )
)
"""They decide some hundred thousand combinations: what only they notice counts as survived."""

SLOW = tuple(
    f"tests/gate/{name}"
    for name in (
        "test_filtering.py::test_reasons_by_person_add_up_to_the_filters_own_counts",
        "test_filtering.py::test_the_demos_records_pass_as_the_oracle_says_from_fhir_csv_and_parquet",
        "test_filtering.py::test_the_same_input_gives_the_same_bytes_with_one_thread_and_with_two",
        "test_generalising.py::test_no_other_choice_loses_less_or_suppresses_fewer",
        "test_generalising.py::test_the_measures_are_those_that_plain_python_finds",
        "test_generalising.py::test_what_is_protected_reaches_k_and_loses_whole_persons_only",
        "test_record_facts.py::test_facts_in_sql_are_the_facts_in_python",
        "test_release.py::test_a_release_of_the_demos_records_holds_the_oracles_rows_generalised",
    )
)
"""Seconds each: what only they notice counts as survived."""


ONE_BY_ONE = "tests/gate/test_filtering.py::test_each_record_counts_once_under_its_first_reason"
"""The same records are filtered all at once by another test: the time goes to others."""


@dataclass(frozen=True)
class Group:
    """modules: without `portal/` and `.py`. tests: files, folders or single tests. without: tests of them left out."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    without: tuple[str, ...] = ()


def _rules(names: str) -> tuple[str, ...]:
    return tuple(f"rules/{name}" for name in names.split())


def _gate(names: str) -> tuple[str, ...]:
    return tuple(f"gate/{name}" for name in names.split())


def _tests(folder: str, names: str) -> tuple[str, ...]:
    return tuple(f"tests/{folder}/test_{name}.py" for name in names.split())


MALFORMED = "tests/hostile/test_malformed_reviewed.py::test_a_malformed_file_is_refused_with_its_places"
"""Of its file, those that need no database."""

GROUPS: dict[str, Group] = {
    "rules-decisions": Group(_rules("clearance facts verdicts"), _tests("rules", "clearance"), EXHAUSTIVE),
    "rules-plain": Group(
        _rules("bech32 differing masking merkle people waiting"),
        _tests("rules", "bech32 differing masking merkle people waiting"),
    ),
    "rules-reviewed": Group(
        _rules("conditions differences fitting reasons refusals reviewed toml_lines wording"),
        (*_tests("rules", "reviewed coverage reasons refusals fitting"), MALFORMED),
    ),
    "rules-values": Group(
        _rules("codes identifiers ladder log_leaf precision"),
        (*_tests("rules", "ladder log_leaf"), *_tests("gate", "precision_in_sql naming generalising")),
        SLOW,
    ),
    "gate-terms": Group(_gate("terms"), _tests("gate", "terms")),
    "gate-signed": Group(
        _gate("signature folders store extraction"),
        (
            *_tests("gate", "signature store extraction"),
            "tests/gate/test_tampering.py::test_a_spoiled_extraction_is_refused",
        ),
    ),
    "gate-log": Group(
        _gate("checkpoint log_proof"),
        tuple(
            f"tests/gate/test_log_proof.py::test_{name}"
            for name in (
                "the_proof_alone_names_the_entry",
                "a_spoiled_proof_alone_is_refused",
                "what_is_no_proof_alone_is_refused",
                "the_proof_of_another_release_or_of_other_papers_is_refused",
                "without_a_proof_nothing_is_named_and_nothing_can_be_held_against_a_checkpoint",
                "an_entry_has_a_number_that_a_log_can_have",
                "another_checkpoint_kept_elsewhere_is_refused_by_its_name",
                "a_way_beside_a_checkpoint_of_the_same_size_is_not_needed",
                "a_checkpoint_reads_as_it_was_written",
                "a_checkpoint_says_which_of_several_keys_signed_it",
                "a_checkpoint_with_its_way_is_read_as_it_was_written_and_one_without_has_none",
                "any_changed_sign_of_a_checkpoint_is_refused",
            )
        ),
    ),
    "gate-receipt": Group(_gate("receipt"), _tests("gate", "receipt")),
    "gate-manifest": Group(_gate("manifest readme"), _tests("gate", "manifest")),
    "gate-verified": Group(
        _gate("verify"),
        (
            "tests/gate/test_tampering.py::test_a_release_that_nobody_touched_is_what_its_manifest_says",
            "tests/gate/test_tampering.py::test_a_spoiled_release_is_refused",
            *(
                f"tests/gate/test_encrypted_release.py::test_{name}"
                for name in (
                    "an_encrypted_release_says_what_was_not_read_and_is_opened_by_its_reader",
                    "a_spoiled_encrypted_release_is_refused_without_opening_it",
                    "what_only_the_reader_can_see_is_refused_once_it_is_opened",
                    "another_version_than_the_expected_one_is_refused",
                )
            ),
        ),
    ),
    "gate-naming": Group(_gate("naming"), _tests("gate", "naming")),
    "gate-toml": Group(
        _gate("toml_file"),
        (
            MALFORMED,
            *(
                f"{MALFORMED.partition('::')[0]}::test_{name}"
                for name in ("a_file_that_is_not_there_is_refused", "the_longest_file_that_is_read")
            ),
        ),
    ),
    "gate-retraction": Group(_gate("retraction"), _tests("gate", "retraction")),
    "gate-records": Group(
        _gate("cells columns flat forms fhir"),
        _tests("gate", "malformed_records fhir_records flat_records filtering precision_in_sql"),
        SLOW,
    ),
    "gate-age": Group(_gate("age unfinished"), _tests("gate", "unfinished")),
    "gate-encrypted": Group(_gate("delivery"), _tests("gate", "encrypted_release")),
    "gate-safe": Group(
        _gate("protect generalise disclosure combinations aggregates"),
        _tests("gate", "generalising release aggregates"),
        SLOW,
    ),
    "gate-register": Group(
        _gate("register register_faults register_row register_fhir holders"),
        _tests("gate", "register malformed_registers malformed_holders"),
    ),
    "gate-permit": Group(
        _gate("permit"),
        (
            "tests/gate/test_tampering.py::test_a_spoiled_permit_is_refused",
            "tests/gate/test_tampering.py::test_a_permit_reads_back_as_it_was_written_and_is_the_same_bytes_again",
            "tests/gate/test_tampering.py::test_a_person_with_two_pseudonyms_makes_a_permit_that_nobody_reads",
            "tests/gate/test_packing.py::test_a_list_that_does_not_fit_is_refused_across_its_pieces",
            *_tests("gate", "malformed_permits"),
        ),
    ),
    "gate-shrinking": Group(
        _gate("shrinking"),
        (
            "tests/gate/test_encrypted_release.py::"
            "test_taking_somebody_out_gives_the_bytes_of_a_release_that_never_held_her",
            *_tests("gate", "generalising"),
        ),
        SLOW,
    ),
    "gate-facts": Group(
        _gate("record_facts"),
        (
            "tests/gate/test_filtering.py::test_records_in_one_file_count_as_each_does_alone",
            "tests/gate/test_filtering.py::test_a_person_whose_time_ran_out_before_the_permit_was_read_does_not_pass",
            "tests/gate/test_filtering.py::"
            "test_a_code_leaves_an_extraction_as_it_is_listed_whatever_a_release_will_show",
            *_tests("gate", "record_facts"),
        ),
    ),
    "gate-filter": Group(
        _gate("filtering outputs packing buckets engine"),
        _tests("gate", "engine filtering packing release"),
        (*SLOW, ONE_BY_ONE),
    ),
}
