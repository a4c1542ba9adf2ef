"""What stands in an envelope's window, whom no letter can reach, and what a letter is called when it comes back."""

import pypdfium2
import pytest
import typst
from hypothesis import given
from hypothesis import strategies as st

from portal.rules.postal import letter_number, read_letter_number, settable, window_lines
from portal.web.render import folder

PARIS = ("Léa Dupont", "3 rue de la Paix", "75002", "Paris")


@pytest.mark.parametrize(
    ("given_", "lines"),
    [
        (PARIS, ("Léa Dupont", "3 rue de la Paix", "75002 Paris")),
        ((*PARIS, "FR"), ("Léa Dupont", "3 rue de la Paix", "75002 Paris")),
        ((*PARIS[:2], "1000", "Bruxelles", "Be"), ("Léa Dupont", "3 rue de la Paix", "1000 Bruxelles", "BE")),
        (("Léa  Dupont", "Bât. B, 3 rue\nBP 1", *PARIS[2:]), ("Léa Dupont", "Bât. B", "3 rue", "BP 1", "75002 Paris")),
        (("Un Parent", "12 rue du Four, 69001 Lyon"), ("Un Parent", "12 rue du Four", "69001 Lyon")),
        (("Đặng Thị Hường", *PARIS[1:]), ("Đặng Thị Hường", "3 rue de la Paix", "75002 Paris")),
    ],
)  # fmt: skip
def test_an_address_stands_in_the_window_as_it_is_written(given_: tuple[str, ...], lines: tuple[str, ...]) -> None:
    assert window_lines(*given_) == lines


@pytest.mark.parametrize(
    "given_",
    [
        ("", *PARIS[1:]),
        ("Léa Dupont", "", "75002", "Paris"),
        ("Léa Dupont", "3 rue de la Paix", "", "Paris"),
        ("Léa Dupont", "3 rue de la Paix", "75002", ""),
        ("Léa Dupont", "3 rue de la Paix"),
        ("Léa Dupont", "69001 Lyon"),
        ("L" * 39, *PARIS[1:]),
        ("Léa Dupont", "a,b,c,d,e", "75002", "Paris"),
        ("李小龍", *PARIS[1:]),
        ("Léa\u202eDupont", *PARIS[1:]),
    ],
)
def test_no_letter_goes_where_something_is_missing_or_does_not_fit(given_: tuple[str, ...]) -> None:
    assert window_lines(*given_) == ()


def test_the_letters_font_has_every_sign_that_counts_as_settable() -> None:
    """PDF/UA refuses a sign without a glyph: one that is settable and missing would stop a whole print file."""
    signs = "".join(chr(code) for code in range(0x20, 0x2100) if settable(chr(code)))
    assert len(signs) >= 600
    source = b'#set document(title: "t")\n#set text(font: "Noto Sans", fallback: false, lang: "fr")\n#sys.inputs.s'
    pdf = typst.compile(
        source, font_paths=[str(folder("templates") / "letter" / "fonts")], ignore_system_fonts=True,
        sys_inputs={"s": " ".join(signs)}, pdf_standards=["a-2a", "ua-1"], timestamp=0,
    )  # fmt: skip
    assert len(pypdfium2.PdfDocument(pdf)) >= 1


@given(st.integers(1, 99_999_999), st.integers(1, 999_999))
def test_a_letters_number_is_read_back_and_every_wrong_digit_is_noticed(run: int, place: int) -> None:
    number = letter_number(run, place)
    assert read_letter_number(number) == read_letter_number(f" {number.replace('-', ' - ')} ") == (run, place)
    for at, sign in enumerate(number):
        for other in "0123456789" if sign.isdigit() else "":
            if other != sign:
                assert read_letter_number(number[:at] + other + number[at + 1 :]) != (run, place)
    assert read_letter_number(f"{run}-{place}-{(int(number[-1]) + 1) % 10}") is None


@pytest.mark.parametrize("text", ["", "12", "12-345", "a-1-2", "1-2-3-4", "123456789-1-1", "1-1-١"])
def test_what_is_no_number_is_none(text: str) -> None:
    assert read_letter_number(text) is None
