"""What runs for a long time: the served pages and the worker. Both refuse unsafe settings and a forgetful database."""

import asyncio
import itertools

from granian import Granian
from granian.constants import Interfaces
from starlette.applications import Starlette

from portal.app import build, make_providers
from portal.flow.arrivals import clear_arrivals
from portal.flow.canary import sing
from portal.flow.clear_away import clear_away
from portal.flow.counters import count_when_due
from portal.flow.erase import alarm_overdue, reconcile_store
from portal.flow.hatch import hatch
from portal.flow.invite import forget_over
from portal.flow.mail_doctor import send_to_doctors
from portal.flow.mail_receipt import send_receipts
from portal.flow.means import Means
from portal.flow.notify import read_returns, send_due
from portal.flow.paper import make_codes
from portal.flow.retract import reconcile, remind_due
from portal.flow.rewrite import erase_due
from portal.flow.sequence import sequence
from portal.flow.unchanged import Seen, begin, end, unchanged
from portal.outside.clock import SystemClock
from portal.outside.mail import Post
from portal.outside.own_pages import Pages
from portal.outside.returns import MaildirReturns, ReturnMailbox
from portal.records.database import connection, opened
from portal.records.durable import refuse_forgetful
from portal.rules.pace import Pace
from portal.rules.refusals import Refused, RefusedFile
from portal.settings import Settings, unsafe
from portal.web.letters import render_letter, render_receipt, render_to_doctor
from portal.wiring import make_means, worker_post

BETWEEN_ROUNDS = 15.0
"""Seconds that the worker rests when nothing is due."""

ROUNDS_A_READING = 60
"""So many rounds pass between two readings of the returns: each one is an entry of the log."""

DOWNLOADS_END_AFTER = 5
"""Seconds that open downloads are given when the server stops."""


def refuse_unsafe(settings: Settings) -> None:
    """RefusedFile with every unsafe setting. The demo is played by `portal demo`, and by nothing else."""
    if settings.demo:
        raise Refused("demo_settings", "demo mode is for `portal demo` only: unset it", where="PORTAL_DEMO")
    if problems := unsafe(settings):
        raise RefusedFile(problems)


def serve_pages(settings: Settings, *, workers: int, host: str, port: int) -> None:
    """Serve until stopped."""
    refuse_unsafe(settings)
    asyncio.run(_look_at_database(settings))
    Granian(
        "portal.service:create",
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        workers=workers,
        factory=True,
        websockets=False,
        log_access=False,  # an address may hold a link's token
        workers_kill_timeout=DOWNLOADS_END_AFTER,
    ).serve()


async def _look_at_database(settings: Settings) -> None:
    """Before any process of the server starts, so that the refusal is one line and no trace of theirs."""
    async with opened(settings.database_url):
        await refuse_forgetful(connection())


def create() -> Starlette:
    """The application of one serving process, made from its environment."""
    settings, clock = Settings(), SystemClock()
    refuse_unsafe(settings)
    doctors, staff = make_providers(settings, clock)
    return build(settings, make_means(settings, clock), doctors=doctors, staff=staff)


async def try_the_path(means: Means, pages: Pages, *, silence_factor: float) -> None:
    """Every hour, by one worker: a canary says no and takes it back; the objections of each channel are counted."""
    await hatch(means)
    await sing(means, pages)
    await count_when_due(means, silence_factor=silence_factor)


async def one_round(
    means: Means,
    post: Post,
    returns: ReturnMailbox,
    *,
    reading: bool,
    seen: Seen | None = None,
    pace: Pace | None = None,
) -> Seen | None:
    """What the worker does before it rests. A bounce just read makes its retractions; then entries get their places.

    Recipients and the store are reconciled unless nobody can have closed since `seen`; returns what the next round
    gives for it.
    """
    while await send_due(means, post, render_letter, pace=pace):
        pass
    while await send_receipts(means, post, render_receipt):
        pass
    while await send_to_doctors(means, post, render_to_doctor):
        pass
    while await make_codes(means):
        pass
    if reading:
        await read_returns(means, returns)
    if not await unchanged(means, seen):
        begun = await begin(means)
        await reconcile(means)
        await reconcile_store(means)
        await erase_due(means)
        seen = await end(begun)
    await remind_due(means)
    await alarm_overdue(means)
    await sequence(means)
    await forget_over(means)
    await clear_away(means)
    await clear_arrivals(means)
    return seen


async def work(means: Means, settings: Settings, *, once: bool) -> None:
    """Try the path of objections, send what is due, read what came back, make missing retractions and erase what must
    leave the store, give log entries their places; again and again.

    `once`: until nothing is due. Safe to run several.
    """
    refuse_unsafe(settings)
    if settings.returns_maildir is None:
        raise Refused("no_returns", "name the Maildir of the returns address", where="PORTAL_RETURNS_MAILDIR")
    await refuse_forgetful(connection())
    returns = MaildirReturns(settings.returns_maildir, settings.returns_address)
    pages, pace = Pages(settings.base_url), Pace(settings.mail_per_minute)
    async with worker_post(settings) as post:
        seen: Seen | None = None
        for number in itertools.count():
            await try_the_path(means, pages, silence_factor=settings.silence_factor)
            reading = number % ROUNDS_A_READING == 0
            seen = await one_round(means, post, returns, reading=reading, seen=seen, pace=pace)
            if once:
                return
            await asyncio.sleep(BETWEEN_ROUNDS)
