"""Signing in with OpenID Connect: code flow with PKCE, and an answer believed only after every check."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any
from urllib.parse import urlencode

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import ClaimError, ExpiredTokenError, InvalidKeyIdError, JoseError
from joserfc.jws import JWSRegistry

from portal.outside.claims import Identity, Site, read_identity
from portal.outside.clock import Clock
from portal.outside.discovery import SECONDS, Discovery, reaching
from portal.outside.trust import trusted
from portal.rules.refusals import Refused
from portal.settings import SignIn

__all__ = ["Begin", "Identity", "OpenIdProvider", "Site"]

ALGORITHMS = JWSRegistry(algorithms=["RS256", "ES256"], strict_check_header=False)
LEEWAY = 30  # seconds that the two clocks may differ
SECOND_FACTORS = frozenset({"otp", "hwk", "swk", "sc", "face", "fpt", "iris"})  # names from RFC 8176

_BY_CLAIM = {
    "iss": ("issuer", "The identity provider's answer is from another issuer."),
    "aud": ("audience", "The identity provider's answer is for another application."),
    "azp": ("authorized_party", "The identity provider's answer was issued to another application."),
    "nonce": ("nonce", "The identity provider's answer belongs to another sign-in."),
    "acr": ("acr_too_low", "This way of signing in does not prove enough; use another."),
    "at_hash": ("access_token", "The identity provider's answer does not belong to its access token."),
}
_OTHER_CLAIM = ("claims", "The identity provider's answer lacks a part, or a part is wrong.")


@dataclass(frozen=True, slots=True)
class Begin:
    """Send the browser to `url`; keep `flow` in a short-lived signed cookie, and use it once."""

    url: str
    flow: dict[str, str]


class OpenIdProvider:
    """One identity provider, as `SignIn` describes it. Every way to fail is a Refused with a code of its own."""

    def __init__(
        self,
        peer: SignIn,
        clock: Clock,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
        chance: Callable[[int], str] = secrets.token_urlsafe,
    ) -> None:
        self._peer, self._clock, self._transport, self._chance = peer, clock, transport, chance
        self._provider = Discovery(peer, transport)

    async def begin(self, redirect_uri: str, *, anew: bool = False) -> Begin:
        """`anew`: the provider asks who that is although it may know, so that another account can be used."""
        metadata = await self._provider.metadata()
        flow = {
            "issuer": self._peer.issuer,
            "redirect_uri": redirect_uri,
            "state": self._chance(32),
            "nonce": self._chance(32),
            "verifier": self._chance(48),
        }
        level = {"acr_values": self._peer.acr_values} if self._peer.acr_values else {}
        asking = {"prompt": "login"} if anew else {}
        async with self._client() as client:
            url, _ = client.create_authorization_url(
                metadata["authorization_endpoint"],
                redirect_uri=redirect_uri,
                state=flow["state"],
                nonce=flow["nonce"],
                code_verifier=flow["verifier"],
                **level,
                **asking,
            )
        return Begin(url, flow)

    async def finish(self, flow: Mapping[str, str], callback: Mapping[str, str]) -> Identity:
        """The identity, from what the browser brought back. The caller forgets `flow` whatever happens."""
        metadata = await self._provider.metadata()
        self._check_callback(flow, callback, bool(metadata["names_itself"]))
        token = await self._redeem(flow, callback["code"])
        claims = self._checked(await self._decoded(token["id_token"]), token["access_token"], flow["nonce"])
        acr = str(claims.get("acr", ""))
        amr = frozenset(each for each in claims.get("amr") or () if isinstance(each, str))
        if self._peer.second_factor_required and not self._shows_second_factor(acr, amr):
            raise _no("no_second_factor", "Sign in with a second factor.", status=403)
        userinfo = await self._provider.json(metadata["userinfo_endpoint"], bearer=token["access_token"])
        if userinfo.get("sub") != claims["sub"]:
            raise _no("subject", "The identity provider's two answers are about two persons.")
        return read_identity(
            userinfo,
            issuer=self._peer.issuer,
            acr=acr,
            amr=amr,
            doctors_only=self._peer.doctors_only,
            id_token=token["id_token"],
        )

    async def logout_url(self, id_token: str, return_to: str) -> str | None:
        """Where to send the browser to sign out there too; None if the provider has no such page.

        Without an ID token the provider is told which application asks, and asks the person.
        """
        page = (await self._provider.metadata())["end_session_endpoint"]
        hint = {"id_token_hint": id_token} if id_token else {}
        query = urlencode({**hint, "post_logout_redirect_uri": return_to, "client_id": self._peer.client_id})
        return f"{page}{'&' if '?' in page else '?'}{query}" if page else None

    def _check_callback(self, flow: Mapping[str, str], callback: Mapping[str, str], names_itself: bool) -> None:
        state = flow.get("state", "")
        if not state or not compare_digest(state.encode(), callback.get("state", "").encode()):
            raise _no("state_mismatch", "This is not the sign-in that you began; begin again.")
        sender = callback.get("iss", "" if names_itself else self._peer.issuer)  # RFC 9207
        if {sender, flow.get("issuer")} != {self._peer.issuer}:
            raise _no("mixed_up", "The answer is from another identity provider; begin again.")
        if "error" in callback:
            raise _no("sign_in_refused", "The identity provider did not sign you in; begin again.", status=403)
        if not callback.get("code"):
            raise _no("no_code", "The identity provider's answer holds no code; begin again.")

    async def _redeem(self, flow: Mapping[str, str], code: str) -> dict[str, str]:
        endpoint = (await self._provider.metadata())["token_endpoint"]
        try:
            with reaching():
                async with self._client() as client:
                    token = await client.fetch_token(
                        endpoint,
                        grant_type="authorization_code",
                        code=code,
                        redirect_uri=flow["redirect_uri"],
                        code_verifier=flow["verifier"],
                    )
        except OAuthError:
            raise _no("code_refused", "The identity provider refused the code; begin again.") from None
        parts = {name: token.get(name) for name in ("id_token", "access_token")}
        if not all(isinstance(part, str) and part for part in parts.values()):
            raise _no("no_id_token", "The identity provider does not say who you are.")
        return parts

    async def _decoded(self, id_token: str) -> jwt.Token:
        """Signature checked with the provider's public keys; an unknown key id fetches them again, once."""
        try:
            try:
                return jwt.decode(id_token, await self._provider.keys(), registry=ALGORITHMS)
            except InvalidKeyIdError:
                return jwt.decode(id_token, await self._provider.keys(fresh=True), registry=ALGORITHMS)
        except (JoseError, ValueError):
            raise _no("token_signature", "The answer is not signed by the identity provider.") from None

    def _checked(self, token: jwt.Token, access_token: str, nonce: str) -> Mapping[str, Any]:
        """The claims of the ID token, once each of them is ours. The library's defaults accept a foreign aud."""
        options: dict[str, Any] = {
            "iss": {"essential": True, "value": self._peer.issuer},
            "aud": {"essential": True, "value": self._peer.client_id},
            "sub": {"essential": True},
        }
        if self._peer.acr:
            options["acr"] = {"essential": True, "values": sorted(self._peer.acr)}
        params = {"nonce": nonce, "client_id": self._peer.client_id, "access_token": access_token}
        claims = CodeIDToken(token.claims, token.header, options, params)
        try:
            claims.validate(now=int(self._clock.now().timestamp()), leeway=LEEWAY)
        except ExpiredTokenError:
            raise _no("expired", "The identity provider's answer has expired; begin again.") from None
        except ClaimError as error:
            raise _no(*_BY_CLAIM.get(error.claim, _OTHER_CLAIM)) from None
        return dict(claims)

    def _shows_second_factor(self, acr: str, amr: frozenset[str]) -> bool:
        return acr in self._peer.second_factor_acr or "mfa" in amr or (len(amr) > 1 and bool(amr & SECOND_FACTORS))

    def _client(self) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(
            client_id=self._peer.client_id,
            client_secret=self._peer.client_secret.get_secret_value(),
            token_endpoint_auth_method=self._peer.client_auth,
            scope=self._peer.scope,
            code_challenge_method="S256",
            transport=self._transport,
            timeout=SECONDS,
            verify=trusted(),
        )


def _no(code: str, what: str, *, status: int = 400) -> Refused:
    return Refused(code, what, where="sign-in", status=status)
