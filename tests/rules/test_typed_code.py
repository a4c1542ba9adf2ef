"""A code that is typed wrongly is noticed before anything is looked up; whatever is typed alike is the same code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.rules.typed_code import ALPHABET, CHANCE_BITS, LENGTH, as_typed, code_of, grouped, is_code

NUMBERS = st.integers(0, 2**CHANCE_BITS - 1)
CODES = NUMBERS.map(code_of).filter(lambda code: code is not None).map(str)


@pytest.mark.shows("R15")
@given(CODES)
def test_every_wrong_symbol_and_every_swap_of_neighbours_is_noticed(code: str) -> None:
    for place, symbol in enumerate(code):
        for other in ALPHABET:
            assert is_code(code[:place] + other + code[place + 1 :]) == (other == symbol)
    for place in range(LENGTH - 1):
        swapped = code[:place] + code[place + 1] + code[place] + code[place + 2 :]
        assert is_code(swapped) == (swapped == code)


@given(CODES)
def test_what_is_printed_is_read_back(code: str) -> None:
    assert is_code(code)
    assert as_typed(grouped(code)) == code


@pytest.mark.parametrize("typed", ["7k5b5 dwev5 do1m", " 7K5B5-DWEV5-D0LM ", "7K5B5.DWEV5.DOIM", "7k5b5–dwev5–d01m"])
def test_lower_case_spaces_hyphens_and_letters_that_look_like_digits_are_read(typed: str) -> None:
    assert as_typed(typed) == "7K5B5DWEV5D01M"


def test_crockfords_own_example_has_its_check_symbol() -> None:
    """32 mod 37 is 32, which is `*`: not given out; 31 is Z."""
    assert code_of(32) is None
    assert code_of(31) == "000000000000ZZ"
    assert code_of(37) == "00000000000150"


@pytest.mark.parametrize("length", [0, 1, LENGTH - 1, LENGTH + 1, 60])
def test_another_length_is_no_code(length: int) -> None:
    assert not is_code("0" * length)


def test_a_letter_that_is_never_given_out_is_no_code() -> None:
    assert is_code("0" * LENGTH)
    assert not is_code("U" + "0" * (LENGTH - 1))


@pytest.mark.parametrize("number", [-1, 2**CHANCE_BITS])
def test_a_number_of_other_size_makes_no_code(number: int) -> None:
    with pytest.raises(ValueError, match="65 bits"):
        code_of(number)


@pytest.mark.shows("R15")
def test_a_code_has_at_least_sixty_bits_of_chance() -> None:
    """One number in 37/32 gives a code: 64.8 bits."""
    assert 32 ** (LENGTH - 1) * 32 / 37 > 2**60
