"""What an identity provider says of itself: its addresses and its public keys, fetched and checked."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx2
from joserfc.jwk import KeySet

from portal.outside.trust import trusted
from portal.rules.refusals import Refused
from portal.settings import SignIn

SECONDS = 10.0


@contextmanager
def reaching() -> Iterator[None]:
    """Network trouble and answers that are no JSON become one kind of no."""
    try:
        yield
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError):
        raise Refused(
            "provider_unreachable", "The identity provider cannot be reached; try again later.", status=503
        ) from None


class Discovery:
    """Reads the discovery document once. Our own settings win over what it says."""

    def __init__(self, peer: SignIn, transport: httpx2.AsyncBaseTransport | None) -> None:
        self._peer, self._transport = peer, transport
        self._found: dict[str, str] = {}
        self._keys: KeySet | None = None

    async def metadata(self) -> dict[str, str]:
        if not self._found:
            self._found = await self._discover()
        return self._found

    async def keys(self, *, fresh: bool = False) -> KeySet:
        """The public signing keys; no secret key is ever taken from there."""
        if self._keys is None or fresh:
            listed = (await self.json((await self.metadata())["jwks_uri"])).get("keys")
            keys = [key for key in (listed if isinstance(listed, list) else []) if _is_public_signing_key(key)]
            with reaching():
                self._keys = KeySet.import_key_set({"keys": keys})
        return self._keys

    async def json(self, url: str, *, bearer: str = "") -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        with reaching():
            async with httpx2.AsyncClient(transport=self._transport, timeout=SECONDS, verify=trusted()) as client:
                answer = await client.get(url, headers=headers)
                content = answer.raise_for_status().json()
        if not isinstance(content, dict):
            raise Refused("provider_answer", "The identity provider's answer has another form.", status=502)
        return content

    async def _discover(self) -> dict[str, str]:
        peer = self._peer
        said = await self.json(peer.discovery_url or f"{peer.issuer.rstrip('/')}/.well-known/openid-configuration")
        if said.get("issuer") != peer.issuer:
            raise Refused("issuer", "The discovery document is another issuer's.", status=503)
        ours = {
            "authorization_endpoint": peer.authorization_url,
            "token_endpoint": peer.token_url,
            "userinfo_endpoint": peer.userinfo_url,
            "jwks_uri": peer.jwks_url,
            "end_session_endpoint": peer.logout_url,
        }
        found = {name: url or str(said.get(name) or "") for name, url in ours.items()}
        for name, url in found.items():
            if not _is_as_safe(url, peer.issuer) and (url or name != "end_session_endpoint"):
                raise Refused("provider_unsafe", f"The provider's {name} is missing or in clear.", status=503)
        announced = said.get("authorization_response_iss_parameter_supported") is True
        return found | {"names_itself": "yes" if announced else ""}


def _is_as_safe(url: str, issuer: str) -> bool:
    """https, or as clear as the issuer itself, which only the demo's is."""
    return urlsplit(url).scheme in {"https", urlsplit(issuer).scheme} and bool(urlsplit(url).hostname)


def _is_public_signing_key(key: object) -> bool:
    return isinstance(key, dict) and key.get("kty") in ("RSA", "EC") and key.get("use", "sig") == "sig"
