"""The portal as a practice's own program meets it: signed in, patient with a bad line, and never led elsewhere."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self
from urllib.parse import quote

import httpx2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from portal.outside.assertion import sign_assertion
from portal.outside.clock import Clock
from portal.outside.portal_answers import (
    Arriving,
    Patients,
    RegisterTaken,
    TakenIn,
    Token,
    Unreachable,
    Usable,
    broken,
    no_portal,
    read,
    refusal,
    retry_after,
)
from portal.outside.trust import trusted

TOKEN = "/api/v1/token"  # noqa: S105 - an address, not a password
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TIMES = httpx2.Timeout(30, read=600)
"""Seconds. A register and an extraction are taken in while the line is open."""

LARGEST = 64 * 2**20
"""Bytes of an answer: the permit of half a million patients."""

COME_AGAIN = frozenset({429, 502, 503, 504})
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
BEFORE_ITS_END = timedelta(seconds=30)
MOST_CHECKED = 10_000


@dataclass
class PortalApi:
    """One practice's line to the portal. `patience`: for how many seconds one request is tried again."""

    base_url: str
    practice: str
    client: str
    key: Ed25519PrivateKey = field(repr=False)
    clock: Clock
    patience: float = 120.0
    pause: Callable[[float], None] = time.sleep
    _token: str = field(default="", repr=False)
    _ends: datetime | None = None

    def __enter__(self) -> Self:
        self._http = httpx2.Client(base_url=self.base_url, timeout=TIMES, follow_redirects=False, verify=trusted())
        return self

    def __exit__(self, *raised: object) -> None:
        self._http.close()

    # --- what it is asked ------------------------------------------------------------------------------------------

    def sign_in(self) -> None:
        """Be given a token, for a freshly signed assertion: none is used twice."""
        self._token = ""
        answer = self._patiently("POST", TOKEN, signed=False)
        given = read(Token, answer)
        self._token = given.access_token
        self._ends = self.clock.now() + timedelta(seconds=given.expires_in) - BEFORE_ITS_END

    def put_register(self, content: bytes, kind: str, taken_at: datetime) -> RegisterTaken:
        """The practice's whole register; RefusedFile with every bad place."""
        headers, asked = {"Content-Type": kind}, {"taken_at": taken_at.isoformat()}
        return read(RegisterTaken, self._patiently("PUT", self._at("register"), content, headers, asked))

    def permit(self) -> bytes:
        """A new permit, as an archive."""
        answer = self._patiently("POST", self._at("permits"))
        if answer.headers.get("content-type", "") != "application/zip":
            raise no_portal(answer)
        return answer.content

    def announce(self, statement: str) -> Arriving:
        """Say by its signed statement what will be sent."""
        return read(Arriving, self._json("extractions", {"statement": statement}))

    def arriving(self, extraction: str) -> Arriving:
        """How much has arrived."""
        return read(Arriving, self._patiently("GET", self._at(f"extractions/{extraction}")))

    def put_part(self, extraction: str, file: str, offset: int, part: bytes) -> Arriving:
        """The next part of a file. A line that breaks is Unreachable at once: ask first how much has arrived."""
        headers = {"Content-Type": "application/octet-stream"}
        path = self._at(f"extractions/{extraction}/files/{quote(file, safe='')}")
        asked = {"offset": str(offset)}
        return read(Arriving, self._patiently("PUT", path, part, headers, asked, reconnects=False))

    def receive(self, extraction: str) -> TakenIn:
        """Everything was sent: it is decided on again, and stored."""
        return read(TakenIn, self._patiently("POST", self._at(f"extractions/{extraction}/receive")))

    def known_patients(self) -> list[str]:
        """The numbers of the practice's patients, as the portal has them."""
        found: list[str] = []
        after: str | None = ""
        while after is not None:
            page = read(Patients, self._patiently("GET", self._at("patients"), asked={"limit": "1000", "after": after}))
            found += [each.patient_id for each in page.patients]
            after = page.next
        return found

    def usable(self, numbers: list[str]) -> set[str]:
        """Of these patients, those who may leave the practice now."""
        found: set[str] = set()
        for start in range(0, len(numbers), MOST_CHECKED):
            page = read(Usable, self._json("check", {"patients": numbers[start : start + MOST_CHECKED]}))
            found |= {each.patient_id for each in page.usable}
        return found

    # --- the line --------------------------------------------------------------------------------------------------

    def _at(self, what: str) -> str:
        return f"/api/v1/practices/{quote(self.practice, safe='')}/{what}"

    def _json(self, what: str, sent: Mapping[str, Any]) -> httpx2.Response:
        return self._patiently("POST", self._at(what), json.dumps(sent).encode(), {"Content-Type": "application/json"})

    def _patiently(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        asked: Mapping[str, str] | None = None,
        *,
        signed: bool = True,
        reconnects: bool = True,
    ) -> httpx2.Response:
        """An answer that is no refusal. While the portal is busy or away it is asked again, as long as `patience`."""
        began, wait, renewed = time.monotonic(), FIRST_WAIT, False
        while True:
            if signed and (self._ends is None or not self._token or self.clock.now() >= self._ends):
                self.sign_in()
            try:
                answer = self._ask(method, path, content, dict(headers or {}), asked, signed=signed)
            except httpx2.HTTPError as error:
                trouble, needed = broken(error), 0.0
                if not reconnects or not isinstance(trouble, Unreachable):
                    raise trouble from None
            else:
                if answer.is_success:
                    return answer
                trouble, needed = refusal(answer), retry_after(answer)
                if answer.status_code == 401 and signed and not renewed:
                    self._token, renewed = "", True
                    continue
                if answer.status_code not in COME_AGAIN and trouble.code != "busy":
                    raise trouble
            wait_now = max(wait, needed)
            if time.monotonic() - began + wait_now > self.patience:
                raise trouble from None
            self.pause(wait_now)
            wait = min(2 * wait, LONGEST_WAIT)

    def _ask(
        self,
        method: str,
        path: str,
        content: bytes | None,
        headers: dict[str, str],
        asked: Mapping[str, str] | None,
        *,
        signed: bool,
    ) -> httpx2.Response:
        form = None if signed else self._token_form()
        if signed:
            headers["Authorization"] = f"Bearer {self._token}"
        request = self._http.build_request(
            method, path, content=content, data=form, headers=headers, params=dict(asked or {})
        )
        answer = self._http.send(request, stream=True)
        try:
            read = bytearray()
            for piece in answer.iter_bytes():
                read += piece
                if len(read) > LARGEST:
                    raise no_portal(answer)
        finally:
            answer.close()
        kept = {"content-type": answer.headers.get("content-type", "").partition(";")[0].strip().lower()}
        kept |= {"retry-after": answer.headers.get("retry-after", "")}
        return httpx2.Response(answer.status_code, headers=kept, content=bytes(read), request=request)

    def _token_form(self) -> dict[str, str]:
        audience = f"{self.base_url}{TOKEN}"
        return {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": sign_assertion(self.key, client=self.client, audience=audience, now=self.clock.now()),
        }
