"""Bech32 by the vectors of BIP 173, and by what age itself writes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyrage import x25519

from portal.rules.bech32 import decode, encode

VALID = [
    ("a", "a12uel5l"),
    ("an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio",
     "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs"),
    ("split", "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w"),
]  # fmt: skip
"""Of the vectors, those in lower case and of whole bytes or none (BIP 173; the third carries 48 groups of five)."""


@pytest.mark.parametrize(("prefix", "text"), VALID[:2])
def test_a_valid_text_without_bytes_is_read_and_written(prefix: str, text: str) -> None:
    assert decode(prefix, text) == b""
    assert encode(prefix, b"") == text


def test_a_valid_text_with_bytes_is_read_and_written() -> None:
    prefix, text = VALID[2]
    content = decode(prefix, text)
    assert content is not None
    assert encode(prefix, content) == text


@pytest.mark.parametrize(
    "text", ["", "1", "a1", "age1", "A12UEL5L", "a12uel5b", "a12uel5l ", "a1bbqqqqqq", "ab12uel5l", "é12uel5l"]
)
def test_what_is_not_bech32_of_this_prefix_is_not_read(text: str) -> None:
    assert decode("a", text) is None


@given(st.binary(min_size=32, max_size=32))
def test_an_identity_made_of_bytes_is_ages_own(key: bytes) -> None:
    identity = encode("age-secret-key-", key).upper()
    assert str(x25519.Identity.from_str(identity)) == identity
    assert decode("age-secret-key-", identity.lower()) == key


@given(st.integers(0, 61), st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7l1b"))
def test_every_slip_of_one_letter_in_a_recipient_is_found(place: int, letter: str) -> None:
    recipient = str(x25519.Identity.from_str(encode("age-secret-key-", b"\7" * 32).upper()).to_public())
    slipped = recipient[:place] + letter + recipient[place + 1 :]
    assert (decode("age", slipped) is not None) == (slipped == recipient)
