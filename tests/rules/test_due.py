"""Who is due, why, and by which channel: mail first, then a letter, then nothing but the doctor's hand."""

from dataclasses import replace

import pytest

from portal.rules.due import FAILED, LIVE, Due, Given, ToTell, Why, due
from portal.rules.words import Addressee, NoticeChannel, NoticeState

SHE = ToTell(Addressee.SELF, None, "mail", "home")
MAILED = Given(True, NoticeChannel.EMAIL, NoticeState.SENT, Addressee.SELF, None, "mail")
POSTED = replace(MAILED, channel=NoticeChannel.POST, address_index="home")
PARENT = ToTell(Addressee.PARENT, "mother", "mail", None)
TO_PARENT = replace(MAILED, addressee=Addressee.PARENT, reader_index="mother")


@pytest.mark.parametrize(
    ("reader", "before", "wanted"),
    [
        (SHE, [], Due(Why.NEW_PATIENT, NoticeChannel.EMAIL, "mail")),
        (replace(SHE, email_index=None), [], Due(Why.NEW_PATIENT, NoticeChannel.POST, "home")),
        (replace(SHE, email_index=None, postal_index=None), [], Due(Why.NEW_PATIENT, None, None)),
        (SHE, [MAILED], None),
        (SHE, [POSTED], None),
        (SHE, [replace(MAILED, enough=False)], Due(Why.NEW_TEXT, NoticeChannel.EMAIL, "mail")),
        (SHE, [replace(MAILED, address_index="old")], Due(Why.NEW_ADDRESS, NoticeChannel.EMAIL, "mail")),
        (SHE, [replace(MAILED, state=NoticeState.BOUNCED)], Due(Why.CAME_BACK, NoticeChannel.POST, "home")),
        (
            SHE,
            [replace(MAILED, state=NoticeState.BOUNCED), replace(POSTED, state=NoticeState.RETURNED)],
            Due(Why.CAME_BACK, None, None),
        ),
        (SHE, [replace(MAILED, state=NoticeState.BOUNCED), POSTED], None),
        (SHE, [TO_PARENT], Due(Why.NOW_ADULT, NoticeChannel.EMAIL, "mail")),
        (PARENT, [TO_PARENT], None),
        (PARENT, [replace(TO_PARENT, reader_index="father")], Due(Why.OTHER_READER, NoticeChannel.EMAIL, "mail")),
        (
            SHE,
            [replace(MAILED, channel=NoticeChannel.HAND, state=NoticeState.REPORTED, address_index=None)],
            Due(Why.NEW_ADDRESS, NoticeChannel.EMAIL, "mail"),
        ),
        (SHE, [replace(MAILED, channel=NoticeChannel.HAND, state=NoticeState.HANDED_OVER, address_index=None)], None),
    ],
)
def test_what_is_due(reader: ToTell, before: list[Given], wanted: Due | None) -> None:
    assert due(reader, before) == wanted


def test_every_state_is_on_its_way_or_failed_or_waits_for_the_doctor() -> None:
    assert LIVE | FAILED | {NoticeState.REPORTED} == set(NoticeState)
    assert not LIVE & FAILED
