"""F6 (IQVIA): a poster in the waiting room, or nothing at all, instead of a notice to each person.

Here a person passes only with a notice of her own that was delivered, to the address that is hers, and whose evidence
was kept. There is no step by which a practice could be marked as told.
"""

from line import Line, record
from world import patient

from portal.flow.decide import Asked, verdicts
from portal.records.database import connection, rows
from portal.records.notices import Notice
from portal.rules.words import NoticeChannel, NoticeState

EXTRACTION = Asked("demo")


async def reasons(line: Line, number: str) -> tuple[str, ...]:
    _, found = await verdicts(line.world.means, EXTRACTION)
    return next(v.reasons for v in found if v.number == number)


async def test_who_was_told_nothing_does_not_pass_however_many_others_were(line: Line) -> None:
    await line.world.register([patient("4")], partial=True)
    line.world.wait(40)
    await line.world.register([patient(str(n)) for n in range(1, 5)])
    assert await reasons(line, "1") == ()
    assert await reasons(line, "4") == ("G50",)
    await line.extract(record("1"), record("4"))
    assert line.counted is not None
    assert (line.counted.passed, line.counted.not_in_permit) == (1, 1)


async def test_a_notice_that_only_waits_in_the_outbox_tells_nobody(line: Line) -> None:
    await rows(connection(), "UPDATE notice SET state = 'queued', sent_at = NULL")
    assert await reasons(line, "1") != ()


async def test_a_notice_whose_evidence_is_gone_tells_nobody(line: Line) -> None:
    notice = await Notice.filter(patient__number="1").get()
    assert (notice.channel, notice.state) == (NoticeChannel.EMAIL, NoticeState.SENT)
    await Notice.filter(id=notice.id).update(text_sha256="0" * 64)
    assert await reasons(line, "1") == ("G57",)


async def test_no_channel_is_a_poster(line: Line) -> None:
    assert "poster" not in {str(channel) for channel in NoticeChannel}
