"""Puts the parts together: settings, means, identity providers, pages and guards become one application."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount
from tortoise.contrib.starlette import RegisterTortoise

from portal.flow.means import Means
from portal.outside.clock import Clock
from portal.outside.directory import AnnuaireSante, Directory
from portal.outside.identity import OpenIdProvider
from portal.records.clearance import renew_verdicts
from portal.records.database import configuration, connection
from portal.records.durable import refuse_forgetful
from portal.rules.refusals import Refused
from portal.settings import Settings, signing_secret
from portal.web.frame import Guide, Portal
from portal.web.problems import Faults, on_http, on_refused
from portal.web.public import Static
from portal.web.requests import Measured, Requests
from portal.web.routes import routes
from portal.web.security import Guard


def make_providers(settings: Settings, clock: Clock) -> tuple[OpenIdProvider, OpenIdProvider]:
    """Where doctors and where staff sign in."""
    return OpenIdProvider(settings.doctor_oidc, clock), OpenIdProvider(settings.staff_oidc, clock)


def make_directory(settings: Settings) -> Directory | None:
    """Where doctors are looked up; nowhere unless the settings say where."""
    key = settings.directory_key.get_secret_value()
    return AnnuaireSante(settings.directory_url, key) if settings.directory_url else None


def build(
    settings: Settings,
    means: Means,
    *,
    doctors: OpenIdProvider,
    staff: OpenIdProvider,
    more_routes: Sequence[BaseRoute] = (),
    guide: Guide | None = None,
    database: bool = True,
) -> Starlette:
    """The application. `more_routes` stand outside the table of policies, so only the demo may bring any.

    `database=False`: whoever calls has opened the database (tests do, and the demo's driver).
    """
    if more_routes and not settings.demo:
        raise Refused("demo_routes", "only the demo adds routes of its own", where="app", status=503)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        if not database:
            yield
            return
        async with RegisterTortoise(app, config=configuration(settings.database_url)):
            if not settings.demo:
                await refuse_forgetful(connection())
            await renew_verdicts()
            yield

    requests = Requests()
    app = Starlette(
        routes=[*routes(), Mount("/static", Static(), name="static"), *more_routes],
        middleware=[Middleware(Measured, requests=requests), Middleware(Guard, settings=settings), Middleware(Faults)],
        exception_handlers={Refused: on_refused, HTTPException: on_http},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # the redirect would be made from the Host header
    app.state.portal = Portal(
        settings, means, doctors, staff, signing_secret(settings), make_directory(settings), guide, requests
    )
    return app
