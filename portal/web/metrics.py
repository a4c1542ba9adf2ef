"""What monitors read: numbers of the path of objections, read from the database, and this process's own requests.

No label and no number is about a person: channels, routes and states only.
"""

from datetime import datetime
from hmac import compare_digest

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from portal.records import path_overview
from portal.records.overview import outages
from portal.settings import Settings
from portal.web.frame import portal_of


def may_read(settings: Settings, authorization: str) -> bool:
    """Whether a request's `Authorization` bears the token; nobody's does while none is set."""
    token = settings.metrics_token.get_secret_value()
    return bool(token) and compare_digest(authorization.encode(), f"Bearer {token}".encode())


async def metrics(request: Request) -> Response:
    portal = portal_of(request)
    gauges = await _gauges(portal.means.clock.now())
    content = generate_latest(gauges) + generate_latest(portal.requests.registry)
    return Response(content, media_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})


async def _gauges(now: datetime) -> CollectorRegistry:
    """Made anew for each reading, from the database: the same in every process."""
    made = CollectorRegistry()

    def put(name: str, words: str, value: float) -> None:
        Gauge(name, words, registry=made).set(value)

    bird = await path_overview.canary(now)
    if bird is not None:
        put("portal_canary_alarm", "1: the path of objections is not known to work.", bird["since"] is not None)
        put("portal_canary_failures", "Rounds that found a fault, since the beginning.", bird["failures"])
        if bird["worked_at"] is not None:
            put("portal_canary_age_seconds", "Since a round worked.", (now - bird["worked_at"]).total_seconds())
    _channels(await path_overview.channels(), now, made)
    post = await path_overview.post(now)
    put("portal_outbox_due", "Messages whose time to be sent has come.", post["due"])
    oldest = (now - post["oldest"]).total_seconds() if post["oldest"] else 0
    put("portal_outbox_oldest_seconds", "How long the oldest of them has been due.", oldest)
    put("portal_notices_bounced", "Notices that came back.", post["bounced"])
    put(
        "portal_outages_open", "Outages of the path of objections.", sum(o["ended_at"] is None for o in await outages())
    )
    return made


def _channels(listed: list[path_overview.Row], now: datetime, made: CollectorRegistry) -> None:
    said = Gauge("portal_objections", "Objections, as last counted.", ("channel", "stage"), registry=made)
    off = Gauge("portal_channel_differs", "1: received, committed and withheld differ.", ("channel",), registry=made)
    silent = Gauge("portal_channel_silent", "1: silent for longer than it ever was.", ("channel",), registry=made)
    age = Gauge("portal_channel_age_seconds", "Since the last objection.", ("channel",), registry=made)
    for row in listed:
        for stage in ("received", "committed", "withheld"):
            said.labels(row["channel"], stage).set(row[stage])
        off.labels(row["channel"]).set(not path_overview.agrees(row))
        silent.labels(row["channel"]).set(row["silent_since"] is not None)
        if row["last_at"] is not None:
            age.labels(row["channel"]).set((now - row["last_at"]).total_seconds())
    counted = [row["counted_at"] for row in listed if row["counted_at"]]
    if counted:
        words = "Since the channels were counted."
        Gauge("portal_counts_age_seconds", words, registry=made).set((now - max(counted)).total_seconds())
