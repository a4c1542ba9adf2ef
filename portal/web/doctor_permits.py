"""What a practice may send: extraction permits, prepared and downloaded by its doctor."""

from pathlib import Path
from tempfile import TemporaryDirectory

from starlette.requests import Request
from starlette.responses import Response

from portal.flow import permit as flow
from portal.records import practice_overview
from portal.rules.words import EnrolmentState
from portal.web.archive import zipped
from portal.web.doctor_frame import enrolment as enrolment_here
from portal.web.frame import portal_of, show, who


async def permits(request: Request) -> Response:
    enrolment, now = await enrolment_here(request), portal_of(request).means.clock.now()
    issued = await practice_overview.permits(enrolment["practice_id"], enrolment["observatory_id"])
    return await show(
        request,
        "doctor/permits.html",
        active=enrolment["state"] == EnrolmentState.ACTIVE,
        practice=enrolment["practice"],
        permits=[{**each, "expired": each["expires_at"] <= now} for each in issued],
    )


async def prepare(request: Request) -> Response:
    """A new permit for the practice of her enrolment, as one file; nothing of it stays here in clear."""
    enrolment, means = await enrolment_here(request), portal_of(request).means
    with TemporaryDirectory(prefix="portal-permit-") as folder:
        out = Path(folder) / "permit"
        issued = await flow.issue(
            means, observatory_id=enrolment["observatory_id"], practice_id=enrolment["practice_id"],
            by=who(request).account, out=out,
        )  # fmt: skip
        content = zipped({f"permit/{p.name}": p.read_bytes() for p in sorted(out.iterdir())}, at=means.clock.now())
    return Response(
        content, media_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="permit-{issued.serial}.zip"'},
    )  # fmt: skip
