"""What the portal answers a practice's program: each answer read with suspicion, each refusal as one of ours."""

import json
import re
import ssl
from typing import TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from portal.rules.refusals import Problem, Refused, RefusedFile

M = TypeVar("M", bound=BaseModel)


class Unreachable(Refused):
    """No answer of the portal, however long it was tried: the next run goes on."""

    def __init__(self, what: str) -> None:
        super().__init__("portal_unreachable", what, where="the portal", status=503)


class Token(BaseModel):
    access_token: str
    expires_in: int


class RegisterTaken(BaseModel):
    """In patients."""

    rows: int
    new: int
    changed: int
    left: int
    doubts: int


class Arriving(BaseModel):
    """`received`: by file, the bytes that have arrived."""

    extraction: str
    received: dict[str, int]


class TakenIn(BaseModel):
    """`dropped`: persons who passed at the permit and no longer do."""

    rows: int
    persons: int
    dropped: int


class Patient(BaseModel):
    patient_id: str


class Patients(BaseModel):
    patients: list[Patient]
    next: str | None


class Usable(BaseModel):
    usable: list[Patient]


def broken(error: httpx2.HTTPError) -> Refused:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            what = "the address shows no certificate that this machine trusts: check the address and the clock"
            return Refused("portal_certificate", what, where="the portal", status=502)
        cause = cause.__cause__ or cause.__context__
    return Unreachable("it does not answer, or the line broke: the next run goes on where this one stopped")


def retry_after(answer: httpx2.Response) -> float:
    said = answer.headers.get("retry-after", "")
    return float(said) if re.fullmatch(r"[0-9]{1,6}", said) else 0.0


def no_portal(answer: httpx2.Response) -> Refused:
    """What answered speaks another language than the portal."""
    what = f"the answer ({answer.status_code}) is not the portal's: check the address, and any proxy in between"
    return Refused("portal_answer", what, where=_where(answer), status=502)


def _where(answer: httpx2.Response) -> str:
    last = answer.request.url.path.split("/")[3:]
    return f"{answer.request.method} {last[-1] if last[:1] != ['practices'] else last[2]}"


def refusal(answer: httpx2.Response) -> Refused:
    """What the portal said, as a refusal of ours; of a fault of its own no more than the incident."""
    if answer.is_redirect:
        what = "the address leads to another one, which is not followed: write the portal's own address"
        return Refused("portal_elsewhere", what, where=_where(answer), status=502)
    try:
        said = json.loads(answer.content)
        code, what = str(said.get("code", said.get("error"))), str(said.get("detail", said.get("error_description")))
        places = [Problem(_word(p["code"]), _plain(p["where"]), _plain(p["what"])) for p in said.get("problems", [])]
    except (ValueError, AttributeError, KeyError, TypeError):
        return no_portal(answer)
    if not re.fullmatch(r"[A-Za-z0-9_]{1,60}", code):
        return no_portal(answer)
    if places:
        return RefusedFile(places)
    if answer.status_code >= 500:
        what = f"the portal could not do it ({_plain(what)}): try again later, or tell its operator"
    return Refused(code, _plain(what), where="the portal", status=answer.status_code)


def _plain(said: object) -> str:
    """One line of plain text, whatever was sent."""
    return "".join(sign for sign in str(said)[:300] if sign.isprintable())


def _word(said: object) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "", str(said))[:60]


def read(model: type[M], answer: httpx2.Response) -> M:
    try:
        return model.model_validate_json(answer.content)
    except ValidationError:
        raise no_portal(answer) from None
