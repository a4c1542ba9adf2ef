"""The play: eighty days of an observatory, from the first sign-in to a verified release, through its own doors.

Doctors, staff and patients act over HTTP; mail goes over SMTP; the worker and the practices' computers run here.
"""

from datetime import datetime

from portal.demo.cast import Part
from portal.demo.crossing import extract_act, finish_release, leave_act, prepare_act
from portal.demo.driver import DAYS, Play
from portal.demo.opening import enrol_act, govern_act
from portal.demo.telling import campaign, object_act, registers_act, returns_act, tell_act

__all__ = ["before_release", "finish_release"]


async def before_release(p: Play, real_now: datetime) -> None:
    """All acts up to a prepared and approved release; `real_now` is when the clock is let go."""
    p.day(DAYS, real_now)
    await govern_act(p)
    p.day(DAYS - 1, real_now)
    await enrol_act(p)
    p.day(DAYS - 3, real_now)
    await registers_act(p, first=True)
    p.day(DAYS - 4, real_now)
    await tell_act(p)
    p.day(DAYS - 10, real_now)
    await returns_act(p)
    p.day(60, real_now)
    await object_act(p, real_now)
    p.day(20, real_now)
    await campaign(p, [r for r in p.roles if r.part is Part.TOLD_LATE], "2026-06")
    p.day(12, real_now)
    await returns_act(p)
    p.day(3, real_now)
    await registers_act(p, first=False)
    p.day(2, real_now)
    await returns_act(p)
    await extract_act(p)
    p.day(1, real_now)
    await leave_act(p)
    p.stage.clock.advance_to(real_now)
    p.stage.clock.release()
    await prepare_act(p)
