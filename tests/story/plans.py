"""Random stories, as plans: who is where, what her records say, and what happens on which day.

A plan is only what people mean to do; what comes of it (who is written to, which mail is refused) is told by whoever
plays it. Small on purpose: hypothesis takes away what a failure does not need.
"""

from dataclasses import dataclass

from hypothesis import strategies as st
from story.made import ASTHMA_INHALER, DIABETES, RARE

PRACTICES = ("practice-a", "practice-b")
NOT_LISTED = "sct|446654005"


@dataclass(frozen=True)
class Enrolled:
    """A doctor of a practice (by place). `stands`: how far she gets. `history`: whether she signs for the past."""

    practice: int
    stands: str
    history: bool


@dataclass(frozen=True)
class Person:
    """A row of a register. Two of one name and birth are homonyms; of one key, one person or a clash."""

    practice: int
    family: str
    birth: str
    key: str
    sex: str
    spoken_for: str
    names_stranger: bool
    birth_name: str = ""


@dataclass(frozen=True)
class Said:
    """A record of the person at this place (of as many as there are)."""

    person: int
    says: str
    day: str
    provenance: str
    doctor: str


@dataclass(frozen=True)
class Event:
    """On `day` at noon. `what` is a step of the player, `who` a place among persons or doctors, `how` its manner."""

    day: str
    what: str
    who: int
    how: str


@dataclass(frozen=True)
class Plan:
    doctors: tuple[Enrolled, ...]
    persons: tuple[Person, ...]
    records: tuple[Said, ...]
    events: tuple[Event, ...]
    valid_until: str = "2027-12-31"
    register_max_days: int = 92


BIRTHS = ("1987-05-05", "1987", "1987-05-06", "2008-03-02", "2008-03-03", "2008-02-29", "2011-03-02", "2015-06-01")
DAYS = (
    "01-16", "01-22", "01-25", "01-30", "01-31", "02-01", "02-12", "02-20", "02-28", "03-01", "03-02", "03-03",
)  # fmt: skip
"""Around the wait of thirty days, the silence of seven, and each crossing (2 March at nine and at three, 3 March at
nine, 4 March at nine)."""

HOW = {
    "say_no": ("everything", "observatory", "study", "practice"),
    "take_back": ("",),
    "telephone": ("everything", "observatory", "study"),
    "letter": ("everything", "observatory", "study"),
    "ask": ("restriction", "erasure", "rectification"),
    "reregister": ("same", "birth", "family", "key", "address", "gone", "dead", "spoken for", "born that day"),
    "leave": ("",),
    "campaign": ("", "refused"),
    "bounce": ("complete", "incomplete"),
    "publish": ("plain", "material", "tells less"),
    "withdraw_text": ("",),
}


def _mostly(usual: str, *others: str) -> st.SearchStrategy[str]:
    """The usual word two times out of three: a world in which everything is odd lets nothing pass."""
    return st.sampled_from((usual,) * 2 * len(others) + others)


def _rarely(usual: str, *others: str) -> st.SearchStrategy[str]:
    """For what closes a whole practice or the batch: another word one time out of ten."""
    return st.sampled_from((usual,) * 9 * len(others) + others)


def _person(practice: st.SearchStrategy[int]) -> st.SearchStrategy[Person]:
    return st.builds(
        Person,
        practice=practice,
        family=_mostly("Martin", "Durand", "Mârtin", "Petit"),
        birth=_mostly("1987-05-05", *BIRTHS),
        key=_mostly("", "local:1", "local:2", "other:1"),
        sex=_rarely("female", "male"),
        spoken_for=_rarely("", "parent", "guardian", "mandate"),
        names_stranger=_rarely("", "yes").map(bool),
    )


_PERSONS = st.builds(
    lambda *persons: (*persons[:3], *persons[3]),
    _person(st.just(0)),
    _person(st.just(1)),
    _person(st.just(0)),
    st.lists(_person(st.integers(0, 1)), max_size=3),
)
"""Each practice has a patient: a register of nobody is refused."""

RECORDS = st.builds(
    Said,
    person=st.integers(0, 5),
    says=_mostly(DIABETES, RARE, NOT_LISTED, ASTHMA_INHALER, "height", "test", "test in words", "allergy"),
    day=_mostly("2025-06-10", "2025-06-11", "2026-01-08", "2026-02-02", "2026-02-13", "2019-12-31", "2020-01-01"),
    provenance=_mostly("entered", "imported", "teleservice_auto", "copied", ""),
    doctor=_mostly("first", "second", "stranger", "nobody"),
)
PLAIN = tuple(Said(person, DIABETES, "2026-02-13", "entered", "first") for person in range(3))
"""What may pass, of three persons: otherwise most worlds would end in too small a cell."""

OFTEN = ("say_no", "take_back", "reregister", "campaign", "bounce")
_EVENTS = st.sampled_from((*OFTEN, *HOW)).flatmap(
    lambda what: st.builds(
        Event,
        day=st.sampled_from(DAYS),
        what=st.just(what),
        who=st.sampled_from((0, 0, 0, 1, 1, 2, 2, 3, 4, 5)),
        how=st.sampled_from(HOW[what]),
    )
)
_DOCTORS = st.tuples(
    st.builds(
        Enrolled,
        practice=st.just(0),
        stands=_rarely("verified", "signed", "identified", "nowhere"),
        history=_mostly("yes", "").map(bool),
    ),
    st.builds(Enrolled, practice=st.just(1), stands=st.just("verified"), history=st.just(True)),
    st.builds(
        Enrolled,
        practice=st.just(0),
        stands=_mostly("verified", "nowhere", "signed"),
        history=_mostly("yes", "").map(bool),
    ),
)

PLANS = st.builds(
    Plan,
    doctors=_DOCTORS,
    persons=_PERSONS,
    records=st.lists(RECORDS, max_size=8).map(lambda more: (*PLAIN, *more)),
    events=st.lists(_EVENTS, max_size=8).map(lambda events: tuple(sorted(events, key=lambda event: event.day))),
    valid_until=_rarely("2027-12-31", "2026-03-01", "2026-03-02", "2026-03-03"),
    register_max_days=_rarely("92", "40").map(int),
)

# --- who is who ---------------------------------------------------------------------------------------------------

_SOMEBODY = st.builds(
    Person,
    practice=st.integers(0, 1),
    family=st.sampled_from(("Martin", "Martin", "Durand", "Petit")),
    birth=_mostly("1987-05-05", "1987", "1987-05-06"),
    key=st.sampled_from(("", "", "local:1", "local:1", "local:2", "other:1")),
    sex=_rarely("female", "male"),
    spoken_for=st.just(""),
    names_stranger=st.just(False),
    birth_name=_mostly("", "Martin", "Moreau"),
)
_OF_WHO = {
    "say_no": HOW["say_no"], "take_back": ("",), "telephone": HOW["telephone"], "letter": HOW["letter"],
    "reregister": ("birth", "family", "key", "other key", "born that day", "gone"),
}  # fmt: skip
_TANGLES = st.sampled_from(
    ("say_no", "say_no", "telephone", "letter", "reregister", "reregister", "take_back")
).flatmap(
    lambda what: st.builds(
        Event,
        day=st.sampled_from(("01-16", "02-01", "02-12", "02-28", "03-01", "03-02", "03-03")),
        what=st.just(what),
        who=st.integers(0, 5),
        how=st.sampled_from(_OF_WHO[what]),
    )
)

TANGLED = st.builds(
    Plan,
    doctors=st.just(tuple(Enrolled(practice, "verified", True) for practice in (0, 1, 0))),
    persons=st.lists(_SOMEBODY, min_size=4, max_size=6).map(
        lambda persons: (
            *persons,
            *(Person(practice, "Petit", "1990-01-02", "", "female", "", False) for practice in (0, 1, 1)),
        )
    ),
    records=st.just(tuple(Said(person, DIABETES, "2026-02-13", "entered", "first") for person in range(9))),
    events=st.lists(_TANGLES, min_size=1, max_size=6).map(
        lambda all_: tuple(sorted(all_, key=lambda event: event.day))
    ),
)
"""Who is who and nothing else: everybody is told, every record may pass, names, births and keys meet in all ways."""
