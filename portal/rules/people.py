"""Who may be the same person, and who may decide: names, national keys, ages. Pure; births are ISO texts.

A birth is `1957-04-16`, a year alone (`1957`), or `` when nobody knows.
"""

import re
import unicodedata
from collections.abc import Collection
from datetime import date
from enum import StrEnum
from itertools import product

from stdnum.fr import nir

from portal.rules.words import Addressee

# --- ages -----------------------------------------------------------------------------------------------------

CONSENT_AGE = 15  # from here a minor has a voice of her own (DOMAIN §4, 8)
MAJORITY = 18


class AgeBand(StrEnum):
    """Whose decision it is. UNKNOWN is withheld (G47)."""

    CHILD = "child"
    TEENAGER = "teenager"
    ADULT = "adult"
    UNKNOWN = "unknown"


def iso_day(text: str) -> date | None:
    """The day that `YYYY-MM-DD` names, or None: no other form, no 31 February."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def is_birth(text: str) -> bool:
    """True for a day or a year that exists."""
    return iso_day(text) is not None or bool(re.fullmatch(r"[0-9]{4}", text) and int(text))


def said_birth(text: str) -> str | None:
    """A birth as people write it, day first (16/04/1957, 16 4 1957) or ISO, or a year alone, as ISO text; None when it
    is none."""
    text = text.strip()
    if found := re.fullmatch(r"([0-9]{1,2})[ ./-]+([0-9]{1,2})[ ./-]+([0-9]{4})", text):
        text = f"{found[3]}-{int(found[2]):02}-{int(found[1]):02}"
    return text if is_birth(text) else None


def birthday(birth_date: str, years: int) -> date:
    """The first day on which the person certainly has that age: the bound that closes.

    Born on 29 February: 1 March in a common year. Known by year alone: only once the whole year of the birthday
    has passed. ValueError when the birth is unknown.
    """
    if not is_birth(birth_date):
        raise ValueError("no birth date, no birthday")
    born = iso_day(birth_date)
    if born is None:
        return date(int(birth_date) + years + 1, 1, 1)
    try:
        return born.replace(year=born.year + years)
    except ValueError:
        return date(born.year + years, 3, 1)


def age_band(birth_date: str, today: date) -> AgeBand:
    """The band that is certain on that day; UNKNOWN without a birth year."""
    if not is_birth(birth_date):
        return AgeBand.UNKNOWN
    if today >= birthday(birth_date, MAJORITY):
        return AgeBand.ADULT
    return AgeBand.TEENAGER if today >= birthday(birth_date, CONSENT_AGE) else AgeBand.CHILD


def speakers(
    birth_date: str, holders: Collection[Addressee], today: date, *, alone: bool = False
) -> frozenset[Addressee]:
    """To whom notices go on that day, of the kinds there are; empty when nobody can be named.

    A parent speaks for a minor only, a mandate for an adult only, a guardian for either; every holder of a kind is
    told. `alone`: she asked to be told alone, which counts from fifteen on until she is of age.
    """
    band = age_band(birth_date, today)
    if band is AgeBand.UNKNOWN:
        return frozenset()
    if band is AgeBand.ADULT:
        return frozenset({Addressee.GUARDIAN, Addressee.MANDATE} & set(holders)) or frozenset({Addressee.SELF})
    if band is AgeBand.TEENAGER and alone:
        return frozenset({Addressee.SELF})
    return frozenset({Addressee.PARENT, Addressee.GUARDIAN} & set(holders))


def addressee(birth_date: str, representative_kind: Addressee | None, today: date) -> Addressee | None:
    """To whom a notice goes on that day when there is one representative at most; None when nobody can be named."""
    kinds = [representative_kind] if representative_kind else []
    return next(iter(speakers(birth_date, kinds, today)), None)


def capacity(birth_date: str, representative_kind: Addressee | None, today: date) -> AgeBand:
    """The age band, or UNKNOWN when nobody can decide: no birth year, a minor without a holder of authority."""
    if addressee(birth_date, representative_kind, today) is None:
        return AgeBand.UNKNOWN
    return age_band(birth_date, today)


# --- national keys --------------------------------------------------------------------------------------------

_NIR = re.compile(r"[0-9]{5}(?:[0-9]{2}|2[AB])[0-9]{8}")
_TYPED = re.compile(r"([A-Za-z][A-Za-z0-9-]{0,15}):(.+)")


def typed_key(text: str) -> str:
    """A national identifier as `type:VALUE`: `ins:` for an INS or NIR, the given type, or `id:`. Idempotent.

    Spaces and letter case do not count. Fifteen characters of NIR shape must have the right key; anything else
    is 1 to 64 visible ASCII characters. ValueError, without the value, when it is neither.
    """
    found = _TYPED.fullmatch("".join(text.split()))
    kind, value = (found[1].lower(), found[2].upper()) if found else ("id", "".join(text.split()).upper())
    if kind in {"ins", "nir"} or (kind == "id" and _NIR.fullmatch(value)):
        kind = "ins"
        if not (_NIR.fullmatch(value) and nir.is_valid(value)):
            raise ValueError("not an INS")
    if not re.fullmatch(r"[!-~]{1,64}", value):
        raise ValueError("not an identifier")
    return f"{kind}:{value}"


# --- names ----------------------------------------------------------------------------------------------------

_PARTICLES = frozenset({"D", "DE", "DES", "DU", "L", "LA", "LE", "LES"})

# The idea is that of Soundex and of its French kin (Phonex): spellings that French ears hear alike become one.
# Unlike Soundex it keeps the vowels, so that fewer strangers look alike. In order; the result is never shown.
# Stored tokens depend on every line: a change means computing them again (tests/rules/test_people.py pins it).
_SOUNDS = [
    (re.compile(pattern), sound)
    for pattern, sound in (
        (r"(.)\1+", r"\1"),  # double letters
        (r"Z", "S"),
        (r"BV", "V"),  # Lefebvre
        (r"AUL(?=[DTX])", "AU"),  # Renault, Gaultier
        (r"M(?=[BPT])", "N"),  # Lecomte
        (r"NPT", "NT"),  # Lecompte
        (r"[AE]I([NM])(?![AEIOUY])", r"I\1"),  # Martain
        (r"E([NM])(?=[^AEIOUYNM])", r"A\1"),  # Laurent
        (r"(?<=..)(?:E|[DPSTX]{1,2})$", ""),  # silent endings
        (r"X", "KS"),
        (r"CH(?=[LNR])", "K"),  # Christian
        (r"S?CH|SH", "X"),
        (r"PH", "F"),
        (r"H", ""),
        (r"SC(?=[EIY])|C(?=[EIY])", "S"),
        (r"GE(?=[AOU])|G(?=[EIY])", "J"),
        (r"GU(?=[EIY])", "G"),
        (r"GN", "N"),
        (r"QU|[CQ]", "K"),
        (r"E?AU", "O"),
        (r"Y", "I"),
        (r"[AE]I", "E"),
        (r"W", "V"),
        (r"(.)\1+", r"\1"),
    )
]


def words_of_name(text: str) -> list[str]:
    """The words of a name, upper-case, without accents; hyphens and apostrophes part words."""
    upper = unicodedata.normalize("NFKD", text).upper().replace("Œ", "OE").replace("Æ", "AE")
    letters = (c for c in unicodedata.normalize("NFKD", upper) if not unicodedata.combining(c))
    return "".join(c if c.isalpha() else " " for c in letters).split()


def phonetic(word: str) -> str:
    """How one folded word sounds to French ears; a word in another script stands for itself."""
    if not re.fullmatch(r"[A-Z]+", word):
        return word
    for pattern, sound in _SOUNDS:
        word = pattern.sub(sound, word)
    return word


def family_sounds(name: str) -> set[str]:
    """The sounds under which a family name may stand.

    Le Goff as Legoff and Goff, de La Tour also as La Tour, Dupont-Martin also as Dupont and as Martin.
    """
    words = words_of_name(name)
    proper = [word for word in words if word not in _PARTICLES]
    leading = next((i for i, word in enumerate(words) if word in proper), 0)
    spellings = {"".join(words[i:]) for i in range(leading + 1)} | {"".join(proper)}
    spellings |= {word for word in proper if len(word) > 2}
    return {phonetic(spelling) for spelling in spellings if spelling}


def match_traits(
    *, person_key: str | None, family_name: str, birth_name: str, given_names: str, birth_date: str
) -> list[tuple[str, str]]:
    """What may show that two patients are one person, as (kind, value), sorted; the caller keys each with HMAC.

    `key` is the typed national key; `name_date` and `name_year` join each sound of family and birth name, the
    first given name and the birth. Two full dates are compared by `name_date`; `name_year` is for when one side
    knows the year only, who has no `name_date`. ValueError for a national key that `typed_key` refuses.
    """
    traits = {("key", typed_key(person_key))} if person_key else set()
    sounds = family_sounds(family_name) | family_sounds(birth_name)
    births = [("name_date", birth_date)] if iso_day(birth_date) else []
    births += [("name_year", birth_date[:4])] if is_birth(birth_date) else []
    given = words_of_name(given_names)[:1]
    for sound, first, (kind, born) in product(sounds, given, births):
        traits.add((kind, f"{sound}|{first}|{born}"))
    return sorted(traits)
