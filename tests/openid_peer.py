"""The npm package oidc-provider as an identity provider: a program of its own, over HTTP, on this machine."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whole_site import free_port

PROGRAM = Path(__file__).parent / "browser" / "provider.mjs"
SECRET = "s3cret:& mehr"
DISCOVERY = "/.well-known/wallet-openid-configuration"
"""Pro Santé Connect's own name for it."""

PSC_CLAIMS = ("SubjectNameID", "SubjectRefPro", "given_name", "family_name", "email", "otherIds")
STAFF_CLAIMS = {"profile": ("given_name", "family_name"), "email": ("email", "email_verified")}


@dataclass(frozen=True, slots=True)
class Known:
    """Somebody who can sign in there."""

    userinfo: dict[str, Any]
    acr: str = "eidas1"
    amr: tuple[str, ...] = ("pwd", "otp")


def doctor(sub: str, *, profession: str = "10", acr: str = "eidas1") -> Known:
    """A person as Pro Santé Connect tells her: several exercises and activities, empty strings for what is missing."""
    cabinet = {
        "numeroFinessSite": "750000001", "numeroSiretSite": "", "raisonSocialeSite": "CABINET A",
        "codeModeExercice": "L", "identifiantTechniqueDeLaStructure": "",
    }  # fmt: skip
    centre = {
        "numeroFinessSite": "", "numeroSiretSite": "00000000000018", "raisonSocialeSite": "CENTRE DE SANTÉ",
        "codeModeExercice": "S", "identifiantTechniqueDeLaStructure": "C00000000000018",
    }  # fmt: skip
    hospital = {"numeroFinessSite": "990000019", "raisonSocialeSite": "HÔPITAL", "codeModeExercice": "S"}
    exercises = [
        {"codeProfession": profession, "codeSavoirFaire": "SM54", "activities": [cabinet, centre]},
        {"codeProfession": "60", "codeSavoirFaire": "", "activities": [hospital]},
        {"codeProfession": profession, "activities": []},
    ]
    return Known(
        {
            "sub": sub, "SubjectNameID": "899700000013", "given_name": "DOMINIQUE", "family_name": "EXEMPLE",
            "email": "", "otherIds": [{"identifiant": "899700000013", "origine": "RPPS", "qualite": 1}],
            "SubjectRefPro": {"codeCivilite": "", "exercices": exercises},
        },
        acr=acr,
    )  # fmt: skip


def colleague(sub: str, *, acr: str = "", amr: tuple[str, ...] = ("pwd", "otp")) -> Known:
    """Somebody of the staff, invited or not."""
    email = f"{sub}@example.org"
    names = {"given_name": "Alix", "family_name": sub}
    return Known({"sub": sub, "email": email, "email_verified": True, **names}, acr=acr, amr=amr)


@dataclass
class Peer:
    """Running: its address, and the program that can be stopped."""

    issuer: str
    process: subprocess.Popen[str]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=10)


@contextmanager
def peer(
    home: str, known: Sequence[Known], *, staff: bool = False, auth: str = "client_secret_basic", logout: bool = True
) -> Iterator[Peer]:
    """The provider of doctors, or of staff, for a portal at `home`; `logout`: whether it has a page for signing out."""
    issuer = f"http://127.0.0.1:{free_port()}"
    client = {
        "client_id": "desk" if staff else "doctors", "client_secret": SECRET, "token_endpoint_auth_method": auth,
        "redirect_uris": [f"{home}/login/callback"], "post_logout_redirect_uris": [f"{home}/"],
        "grant_types": ["authorization_code"], "response_types": ["code"],
    }  # fmt: skip
    told = {
        "issuer": issuer,
        "clients": [client],
        "accounts": [{"userinfo": k.userinfo, "label": k.userinfo["sub"], "acr": k.acr, "amr": k.amr} for k in known],
        "claims": STAFF_CLAIMS if staff else {"scope_all": PSC_CLAIMS},
        "acrs": sorted({k.acr for k in known} - {""}),
        "logout": logout,
    }
    with subprocess.Popen(["node", str(PROGRAM)], stdin=-1, stdout=-1, stderr=-1, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(told))
        process.stdin.close()
        first = process.stdout.readline()
        assert first == "listening\n", process.stderr and process.stderr.read()
        try:
            yield Peer(issuer, process)
        finally:
            process.terminate()
