"""The interface for practice software: each address reads what was sent, calls one step, and answers JSON."""

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote_plus

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from portal.flow import arrivals, check, hand_over, permit, programs, register, told_doctor
from portal.flow.answered import once
from portal.flow.changes import changes_since
from portal.flow.decide import Asked
from portal.flow.means import Means
from portal.records import hand_outs, practice_overview
from portal.rules.burst import is_burst
from portal.rules.refusals import Refused
from portal.web import api_forms as forms
from portal.web.api_reading import content_type, items, json_body, no_such_type, query
from portal.web.archive import zipped
from portal.web.frame import portal_of, program_of, reference

REGISTERS = {
    "text/csv": "csv",
    "application/vnd.apache.parquet": "parquet",
    "application/fhir+ndjson": "ndjson",
}
"""By content type, the suffix by which the register's reader knows the form."""

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
OAUTH_ERRORS = ("invalid_client", "unsupported_grant_type", "invalid_scope")
LONGEST_KEY = 200


def _means(request: Request) -> Means:
    return portal_of(request).means


def _practice(request: Request) -> str:
    return str(request.path_params["practice"])


def _observatory(request: Request) -> str:
    """Of the practice in the address, for which the door has seen that the program may act."""
    return str(request.scope["observatory"])


def answer(model: BaseModel, status: int = 200) -> Response:
    return Response(model.model_dump_json(), status_code=status, media_type="application/json")


async def _once(request: Request, act: Callable[[], Awaitable[forms.HandOutsAnswer | forms.ToldAnswer]]) -> Response:
    """Acts, or answers as it did when this very request was sent before under the same Idempotency-Key."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return answer(await act())
    if not 8 <= len(key) <= LONGEST_KEY:
        raise Refused("idempotency_key", "a key has 8 to 200 signs", where="Idempotency-Key", status=422)
    asked = b"\0".join([request.method.encode(), request.scope["path"].encode(), await request.body()])

    async def acted() -> tuple[int, bytes, bool]:
        said = await act()
        return 200, said.model_dump_json().encode(), not said.not_done

    status, body = await once(_means(request), program_of(request).id, key, asked, acted)
    return Response(body, status_code=status, media_type="application/json")


# --- the addresses ---------------------------------------------------------------------------------------------------


async def token(request: Request) -> Response:
    """OAuth 2 client credentials with a signed assertion; what is refused is answered as OAuth says."""
    try:
        granted = await programs.token_for(_means(request), *await _asked_token(request))
    except Refused as no:
        if no.status >= 500:
            raise
        error = no.code if no.code in OAUTH_ERRORS else "invalid_request"
        status = 401 if error == "invalid_client" else 400
        return answer(forms.TokenRefused.model_validate({"error": error, "error_description": no.what}), status)
    return answer(
        forms.TokenAnswer(
            access_token=granted.token,
            token_type="bearer",  # noqa: S106 - a word of the protocol, not a password
            expires_in=int(granted.life.total_seconds()),
            scope=" ".join(sorted(granted.access)),
        )
    )


async def _asked_token(request: Request) -> tuple[str, str]:
    """Assertion and scope of a token request."""
    if content_type(request) != "application/x-www-form-urlencoded":
        raise Refused("invalid_request", "send a form: application/x-www-form-urlencoded", status=400)
    given: dict[str, str] = {}
    for pair in (await request.body()).split(b"&"):
        name, _, value = pair.decode("latin-1").partition("=")
        if unquote_plus(name) in given:
            raise Refused("invalid_request", "a field stands twice", status=400)
        given[unquote_plus(name)] = unquote_plus(value)
    if given.get("grant_type") != "client_credentials":
        raise Refused("unsupported_grant_type", "grant_type is client_credentials", status=400)
    if given.get("client_assertion_type") != ASSERTION_TYPE or not given.get("client_assertion"):
        raise Refused("invalid_request", f"send client_assertion, and client_assertion_type {ASSERTION_TYPE}")
    return given["client_assertion"], given.get("scope", "")


async def put_register(request: Request) -> Response:
    """The whole register, or with `partial` some patients of it; refused whole with each bad place."""
    asked, means = query(request, forms.RegisterQuery), _means(request)
    suffix = REGISTERS.get(content_type(request))
    if suffix is None:
        raise no_such_type(*REGISTERS)
    body = await request.body()
    async with _working(means) as folder:
        path = folder / f"register.{suffix}"
        path.write_bytes(body)
        done = await register.import_register(
            means, _practice(request), path, taken_at=asked.taken_at or means.clock.now(),
            actor=program_of(request).actor, partial=asked.partial,
        )  # fmt: skip
    return answer(
        forms.RegisterAnswer(rows=done.rows, new=done.new, changed=done.changed, left=done.left, doubts=done.doubts)
    )


@asynccontextmanager
async def _working(means: Means) -> AsyncIterator[Path]:
    means.incoming.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=arrivals.REQUEST, dir=means.incoming) as folder:
        yield Path(folder)


async def report_hand_outs(request: Request) -> Response:
    """The software says that notices were handed out; a doctor confirms each."""
    sent = await items(request, forms.HandOuts, forms.HandOut)

    async def act() -> forms.HandOutsAnswer:
        done, not_done = [], []
        for place, item in enumerate(sent.items):
            try:
                notice = await hand_over.report_handed_over(
                    _means(request), observatory_id=_observatory(request), practice_id=_practice(request),
                    number=item.patient_id, rank=item.rank, actor=program_of(request).actor,
                )  # fmt: skip
            except Refused as no:
                not_done.append(_not_done(place, no))
            else:
                done.append(forms.Reported(patient_id=item.patient_id, notice=str(notice)))
        lately = await hand_outs.reported_within_an_hour(_practice(request), _means(request).clock.now())
        return forms.HandOutsAnswer(reported=done, not_done=not_done, flagged=is_burst(lately))

    return await _once(request, act)


async def note_told(request: Request) -> Response:
    """Patients told their doctor no, and she noted it in her software."""
    sent = await items(request, forms.ToldAll, forms.Told)

    async def act() -> forms.ToldAnswer:
        done, not_done = [], []
        for place, item in enumerate(sent.items):
            try:
                objection = await told_doctor.object_by_software(
                    _means(request), practice_id=_practice(request), number=item.patient_id, said_on=item.said_on,
                    actor=program_of(request).actor,
                )  # fmt: skip
            except Refused as no:
                not_done.append(_not_done(place, no))
            else:
                done.append(forms.Noted(patient_id=item.patient_id, reference=reference(objection)))
        return forms.ToldAnswer(noted=done, not_done=not_done)

    return await _once(request, act)


def _not_done(place: int, no: Refused) -> forms.NotDone:
    if no.status >= 500:
        raise no
    return forms.NotDone(item=place, code=no.code, what=no.what)


async def issue_permit(request: Request) -> Response:
    """A new permit, which supersedes the older ones of the practice: its two files as one archive."""
    means = _means(request)
    async with _working(means) as folder:
        done = await permit.issue(
            means, observatory_id=_observatory(request), practice_id=_practice(request),
            by=program_of(request), out=folder / "permit",
        )  # fmt: skip
        files = {path.name: path.read_bytes() for path in sorted((folder / "permit").iterdir())}
        content = zipped(files, at=means.clock.now())
    headers = {"Permit-Serial": str(done.serial), "Expires": done.expires_at.strftime("%a, %d %b %Y %H:%M:%S GMT")}
    return Response(content, media_type="application/zip", headers=headers)


async def announce(request: Request) -> Response:
    """The signed statement of an extraction, before its files."""
    sent = await json_body(request, forms.Announced)
    there = await arrivals.announce(_means(request), _practice(request), sent.statement.encode())
    return _arriving(there, 201)


async def arriving(request: Request) -> Response:
    return _arriving(await arrivals.arriving(_means(request), _practice(request), request.path_params["extraction"]))


async def append(request: Request) -> Response:
    """The next part of one file."""
    if content_type(request) != "application/octet-stream":
        raise no_such_type("application/octet-stream")
    asked, params = query(request, forms.PartQuery), request.path_params
    there = await arrivals.append(
        _means(request), _practice(request), params["extraction"], f"records/{params['file']}",
        offset=asked.offset, part=await request.body(),
    )  # fmt: skip
    return _arriving(there)


def _arriving(there: arrivals.Arriving, status: int = 200) -> Response:
    received = {name.removeprefix("records/"): size for name, size in there.files.items()}
    return answer(forms.ArrivingAnswer(extraction=there.id, received=received), status)


async def take_in(request: Request) -> Response:
    """Everything was sent: it is decided again, and stored."""
    done = await arrivals.take_in(
        _means(request), _practice(request), request.path_params["extraction"], actor=program_of(request).actor
    )
    return answer(forms.ReceivedAnswer(rows=done.rows, persons=done.persons, dropped=done.dropped))


async def check_list(request: Request) -> Response:
    sent = await json_body(request, forms.Check)
    found = await check.check(
        _means(request), Asked(_observatory(request), sent.study), practice_id=_practice(request),
        numbers=sent.patients,
    )  # fmt: skip
    usable = [forms.Usable(patient_id=number, until=until) for number, until in sorted(found.usable.items())]
    return answer(forms.CheckAnswer(decided_at=found.decided_at, until=found.until, usable=usable))


async def patients(request: Request) -> Response:
    """The practice's patients as its doctor sees them, by number."""
    asked = query(request, forms.PatientsQuery)
    now: datetime = _means(request).clock.now()
    listed = await practice_overview.patients(_practice(request), _observatory(request), now)
    following = sorted((p for p in listed if p["number"] > asked.after), key=lambda p: str(p["number"]))
    shown = [forms.Patient(patient_id=p["number"], state=p["state"]) for p in following[: asked.limit]]
    after = shown[-1].patient_id if len(following) > asked.limit else None
    return answer(forms.PatientsAnswer(patients=shown, next=after))


async def changes(request: Request) -> Response:
    asked = query(request, forms.ChangesQuery)
    found = await changes_since(_practice(request), asked.since)
    listed = [forms.ChangeAnswer(at=c.at, about=c.about.value, patients=list(c.numbers)) for c in found.changes]
    return answer(forms.ChangesAnswer(changes=listed, next=found.next, more=found.more))
