"""The demo's identity provider: anybody may be anybody. Mounted in demo mode only; in tests it also plays the liar.

It speaks the code flow with PKCE, signs with RS256, and hands out each code once.
"""

import secrets
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from html import escape
from typing import Any
from urllib.parse import unquote, urlencode

from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from portal.demo.bare_page import bare_page, prefers_french
from portal.outside.clock import Clock

Claims = dict[str, Any]
Twist = Callable[[str, Claims], Claims]
_WORDS_FR = ("Connexion de démonstration", "Ici, chacun peut être n’importe qui. Choisissez qui vous êtes\u00a0:")
_WORDS_EN = ("Demo sign-in", "Here anybody may be anybody. Choose who you are:")
Sign = Callable[[Claims, RSAKey], str]


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """Somebody to sign in as. `userinfo` holds `sub`, and has Pro Santé Connect's shape for a doctor."""

    label: str
    userinfo: Claims
    acr: str = "eidas1"
    amr: tuple[str, ...] = ("pwd", "otp")


@dataclass(frozen=True, slots=True)
class DemoClient:
    """An application that is known here, and who may sign in to it."""

    secret: str = field(repr=False)
    redirect_uri: str
    home: str  # where to come back to after signing out
    persons: Sequence[DemoPerson]


def sign_rs256(claims: Claims, key: RSAKey) -> str:
    return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)


class DemoProvider:
    """`twist(name, answer)` may change each answer (`discovery`, `jwks`, `callback`, `token`, `claims`,
    `userinfo`) and `sign` how the ID token is signed: both are for tests of who asks."""

    def __init__(
        self,
        issuer: str,
        clients: Mapping[str, DemoClient],
        clock: Clock,
        *,
        at: str | None = None,
        twist: Twist = lambda name, answer: answer,
        sign: Sign = sign_rs256,
    ) -> None:
        self.issuer, self.at, self.clients, self._clock = issuer, at or issuer, clients, clock
        self.twist, self.sign = twist, sign
        self.key = RSAKey.generate_key(2048, {"kid": secrets.token_hex(8), "use": "sig"}, auto_kid=False)
        self._codes: dict[str, tuple[DemoPerson, Mapping[str, str]]] = {}
        self._access: dict[str, DemoPerson] = {}

    def routes(self) -> list[Route]:
        """To be mounted where `at` says (the issuer, unless another address is given)."""
        return [
            Route("/.well-known/openid-configuration", self._discovery),
            Route("/jwks", self._jwks),
            Route("/authorize", self._choose, methods=["GET"]),
            Route("/authorize", self._chosen, methods=["POST"]),
            Route("/token", self._token, methods=["POST"]),
            Route("/userinfo", self._userinfo),
            Route("/end_session", self._end_session),
        ]

    async def _discovery(self, request: Request) -> Response:
        answer: Claims = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.at}/authorize",
            "token_endpoint": f"{self.at}/token",
            "userinfo_endpoint": f"{self.at}/userinfo",
            "jwks_uri": f"{self.at}/jwks",
            "end_session_endpoint": f"{self.at}/end_session",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }
        return JSONResponse(self.twist("discovery", answer))

    async def _jwks(self, request: Request) -> Response:
        return JSONResponse(self.twist("jwks", {"keys": [self.key.as_dict(private=False)]}))

    async def _choose(self, request: Request) -> Response:
        """The persons as one plain form, posted back to this same address."""
        french = prefers_french(request.headers.get("accept-language", ""))
        if (client := self._client(request.query_params)) is None:
            return bare_page("400", "<p>Unknown application, or no PKCE.</p>", status=400)
        persons = "".join(
            f'<li><button class="button" name="sub" value="{escape(each.userinfo["sub"])}">'
            f"{escape(each.label)}</button></li>"
            for each in client.persons
        )
        title, intro = _WORDS_FR if french else _WORDS_EN
        body = f'<p>{intro}</p><form method="post"><ul>{persons}</ul></form>'
        return bare_page(title, body, language="fr" if french else "en")

    async def _chosen(self, request: Request) -> Response:
        client, chosen = self._client(request.query_params), (await request.form()).get("sub")
        persons = client.persons if client else ()
        person = next((each for each in persons if each.userinfo["sub"] == chosen), None)
        if client is None or person is None:
            return bare_page("400", "<p>Unknown application or person.</p>", status=400)
        asked, code = dict(request.query_params), secrets.token_urlsafe(24)
        self._codes[code] = (person, asked)
        answer = {"code": code, "state": asked.get("state", ""), "iss": self.issuer}
        answer = self.twist("callback", answer)
        return RedirectResponse(f"{client.redirect_uri}?{urlencode(answer)}", status_code=303)

    async def _token(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        name, secret = _credentials(request.headers.get("authorization", ""), form)
        client = self.clients.get(name)
        if client is None or not secrets.compare_digest(client.secret.encode(), secret.encode()):
            return JSONResponse({"error": "invalid_client"}, status_code=401)
        person, asked = self._codes.pop(form.get("code", ""), (None, {}))
        if person is None or not _belongs(form, name, asked):
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        access = secrets.token_urlsafe(24)
        self._access[access] = person
        id_token = self.sign(self.twist("claims", self._claims(person, asked)), self.key)
        answer = {"access_token": access, "token_type": "Bearer", "expires_in": 300, "id_token": id_token}
        return JSONResponse(self.twist("token", answer))

    def _claims(self, person: DemoPerson, asked: Mapping[str, str]) -> Claims:
        now = int(self._clock.now().timestamp())
        return {
            "iss": self.issuer,
            "sub": person.userinfo["sub"],
            "aud": asked["client_id"],
            "azp": asked["client_id"],
            "iat": now,
            "exp": now + 300,
            "nonce": asked.get("nonce", ""),
            "acr": person.acr,
            "amr": list(person.amr),
        }

    async def _userinfo(self, request: Request) -> Response:
        person = self._access.get(request.headers.get("authorization", "").removeprefix("Bearer "))
        if person is None:
            return JSONResponse({"error": "invalid_token"}, status_code=401)
        return JSONResponse(self.twist("userinfo", dict(person.userinfo)))

    async def _end_session(self, request: Request) -> Response:
        """Nobody stays signed in here, so there is only the way back."""
        back = request.query_params.get("post_logout_redirect_uri", "")
        if back in {client.home for client in self.clients.values()}:
            return RedirectResponse(back, status_code=303)
        return bare_page("Signed out", "<p>You are signed out of the demo.</p>")

    def _client(self, asked: Mapping[str, str]) -> DemoClient | None:
        client = self.clients.get(asked.get("client_id", ""))
        fits = (
            client is not None
            and asked.get("redirect_uri") == client.redirect_uri
            and asked.get("response_type") == "code"
            and asked.get("code_challenge_method") == "S256"
            and bool(asked.get("code_challenge"))
        )
        return client if fits else None


def _credentials(authorization: str, form: Mapping[str, str]) -> tuple[str, str]:
    """The application's name and secret, from the header or from the form."""
    if not authorization.startswith("Basic "):
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        name, _, secret = b64decode(authorization[6:]).decode().partition(":")
    except ValueError:
        return "", ""
    return unquote(name), unquote(secret)


def _belongs(form: Mapping[str, str], client: str, asked: Mapping[str, str]) -> bool:
    """Whether who redeems a code is who asked for it: application, way back, PKCE."""
    digest = sha256(form.get("code_verifier", "").encode()).digest()
    redeemed = (client, form.get("redirect_uri"), urlsafe_b64encode(digest).rstrip(b"=").decode())
    return redeemed == tuple(asked[name] for name in ("client_id", "redirect_uri", "code_challenge"))
