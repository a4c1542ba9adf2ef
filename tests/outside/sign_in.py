"""A person, a browser, the demo's provider and the portal's client, put together for the tests of signing in."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
from starlette.applications import Starlette
from starlette.routing import Mount

from portal.demo.provider import DemoClient, DemoPerson, DemoProvider, Sign, Twist, sign_rs256
from portal.outside.identity import Begin, Identity, OpenIdProvider
from portal.settings import DoctorSignIn, SignIn, StaffSignIn

ISSUER = "http://portal.test/demo/id"
CALLBACK = "http://portal.test/login/callback"
HOME = "http://portal.test/"
NOW = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)

DOCTOR: dict[str, Any] = {
    "sub": "f:demo:899700000013",
    "SubjectNameID": "899700000013",
    "given_name": "PRÉNOM",
    "family_name": "NOM",
    "email": "",
    "Palier_Authentification": "APPPRIP3^1.2.250.1.213.1.5.1.1.1",
    "otherIds": [{"identifiant": "899700000013", "origine": "RPPS", "qualite": 1}],
    "SubjectRefPro": {
        "codeCivilite": "MME",
        "exercices": [
            {
                "codeProfession": "10",
                "codeCategorieProfessionnelle": "C",
                "codeTypeSavoirFaire": "S",
                "codeSavoirFaire": "SM54",
                "activities": [
                    {
                        "numeroFinessSite": "2A0000018",
                        "numeroSiretSite": "",
                        "raisonSocialeSite": "CABINET DU PORT",
                        "codeModeExercice": "L",
                        "identifiantTechniqueDeLaStructure": "F2A0000018",
                    },
                    {
                        "numeroFinessSite": "",
                        "numeroSiretSite": "00000000000018",
                        "raisonSocialeSite": "CENTRE DE SANTÉ",
                        "codeModeExercice": "S",
                        "identifiantTechniqueDeLaStructure": "",
                    },
                    {"numeroFinessSite": "", "numeroSiretSite": "", "raisonSocialeSite": ""},
                ],
            },
            {"codeProfession": "60", "activities": [{"numeroFinessSite": "990000019"}]},
            {"codeProfession": "10", "activities": []},
        ],
    },
}
OPERATOR: dict[str, Any] = {
    "sub": "operator",
    "given_name": "Op",
    "family_name": "Érateur",
    "email": "Operator@portal.test",
    "email_verified": True,
}


class StandingClock:
    def __init__(self) -> None:
        self.moment = NOW

    def now(self) -> datetime:
        return self.moment

    def wait(self, **span: float) -> None:
        self.moment += timedelta(**span)


@dataclass
class Rig:
    """`sign_in()` plays the whole journey; what a test twists is set before or in between."""

    staff: bool = False
    person: DemoPerson = field(default_factory=lambda: DemoPerson("doctor", DOCTOR))
    twist: Twist = lambda name, answer: answer
    sign: Sign = sign_rs256
    peer: dict[str, Any] = field(default_factory=dict)
    clock: StandingClock = field(default_factory=StandingClock)

    def __post_init__(self) -> None:
        self.client_id = "desk" if self.staff else "doctors"
        client = DemoClient(secret="s3cret & more", redirect_uri=CALLBACK, home=HOME, persons=[self.person])
        self.provider = DemoProvider(ISSUER, {self.client_id: client}, self.clock, twist=self.twist, sign=self.sign)
        self.transport: httpx2.AsyncBaseTransport = httpx2.ASGITransport(
            app=Starlette(routes=[Mount("/demo/id", routes=self.provider.routes())])
        )
        kind: Callable[..., SignIn] = StaffSignIn if self.staff else DoctorSignIn
        given = {"issuer": ISSUER, "client_id": self.client_id, "client_secret": "s3cret & more"}
        self.ours_as = kind(**given | self.peer)
        self.ours = OpenIdProvider(self.ours_as, self.clock, transport=self.transport)

    async def choose(self, url: str) -> httpx2.Response:
        """The browser chooses the person on the provider's page."""
        async with httpx2.AsyncClient(transport=self.transport) as browser:
            assert (await browser.get(url)).status_code == 200
            return await browser.post(url, data={"sub": self.person.userinfo["sub"]})

    async def callback(self, begun: Begin) -> dict[str, str]:
        answer = await self.choose(begun.url)
        assert answer.status_code == 303
        return dict(parse_qsl(urlsplit(answer.headers["location"]).query))

    async def sign_in(self) -> Identity:
        begun = await self.ours.begin(CALLBACK)
        return await self.ours.finish(begun.flow, await self.callback(begun))
