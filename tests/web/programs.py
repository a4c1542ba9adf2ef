"""A program beside the site: its key, its token, its requests."""

from dataclasses import dataclass, field
from typing import Any

import httpx2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import OKPKey
from whole_site import Web

from portal.flow import programs
from portal.outside.assertion import sign_assertion
from portal.records.accounts import Account
from portal.rules.scopes import ClientKind

API = "/api/v1/practices/practice-a"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class SomeProgram:
    """A publisher's software with its own key."""

    web: Web
    id: str = ""
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    def assertion(self, **changes: Any) -> str:
        world = self.web.world
        given = {"client": self.id, "audience": programs.token_address(world.means), "now": world.clock.now()}
        return sign_assertion(self.key, **given | changes)

    async def asks_token(self, scope: str = "", **fields: str) -> httpx2.Response:
        form = {
            "grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE, "scope": scope,
            "client_assertion": self.assertion(),
        }  # fmt: skip
        return await self.web.program().post("/api/v1/token", data=form | fields)

    async def signed_in(self, scope: str = "") -> httpx2.AsyncClient:
        answer = await self.asks_token(scope)
        assert answer.status_code == 200, answer.text
        return self.web.program(Authorization=f"Bearer {answer.json()['access_token']}")


def jwks(key: Ed25519PrivateKey) -> dict[str, Any]:
    return {"keys": [OKPKey.import_key(key.public_key()).as_dict(private=False)]}


async def doctor_of(web: Web, practice: int = 1) -> Account:
    """The doctor who is active at Cabinet A; or a new one at B."""
    if practice == 1:
        return (await Account.filter(role="doctor").order_by("id"))[0]
    return await web.world.enrol(practice, number=f"doctor-{practice}", rpps="10000000002")


async def on_file(web: Web, kind: ClientKind) -> SomeProgram:
    """A program on file that no doctor has let act."""
    made = SomeProgram(web)
    keys = jwks(made.key)
    made.id = await programs.put_on_file(web.world.means, kind=kind, name="Logiciel", keys=keys, by=web.world.operator)
    return made


async def program(web: Web, *practices: str, kind: ClientKind = ClientKind.SOFTWARE) -> SomeProgram:
    """A program on file that the doctor lets act for these practices (Cabinet A unless others are named)."""
    made = await on_file(web, kind)
    doctor = await doctor_of(web)
    for practice in practices or ("practice-a",):
        await programs.let_act(web.world.means, made.id, practice, by=doctor)
    return made
