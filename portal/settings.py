"""What the operator may set, and what is refused outside demo mode. Only this file reads the environment.

Sources, first wins: what code passes, `PORTAL_…` variables (nested with `__`), files in the folder named by
`PORTAL_SECRETS_DIR` (file name = setting, such as `smtp_password`), the TOML file named by `PORTAL_CONFIG`.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from portal.rules.refusals import Problem, Refused

SHORTEST_SECRET = 32


PORT = 8000
"""Where the pages are served unless told otherwise."""


class SignIn(BaseModel):
    """One OpenID provider, and what an answer of it must prove. An empty `acr` set asks for no level."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: str = ""
    discovery_url: str = ""  # empty: <issuer>/.well-known/openid-configuration
    authorization_url: str = ""  # this and the next four: empty means as discovered
    token_url: str = ""
    userinfo_url: str = ""
    jwks_url: str = ""
    logout_url: str = ""
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    client_auth: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic"
    scope: str = "openid profile email"
    acr_values: str = ""  # what is asked for
    acr: frozenset[str] = frozenset()  # what is accepted
    second_factor_required: bool = False
    second_factor_acr: frozenset[str] = frozenset()  # levels that prove a second factor; empty: only amr can
    doctors_only: bool = False


class DoctorSignIn(SignIn):
    """Pro Santé Connect: the acr proves the card or the application, so it is the second factor."""

    scope: str = "openid scope_all"
    acr_values: str = "eidas1"
    acr: frozenset[str] = frozenset({"eidas1"})
    doctors_only: bool = True


class StaffSignIn(SignIn):
    second_factor_required: bool = True


class Settings(BaseSettings):
    """All settings. The defaults are those of the demo; `unsafe` says which of them are refused elsewhere."""

    model_config = SettingsConfigDict(
        env_prefix="PORTAL_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    demo: bool = False
    database_url: str = "sqlite://var/portal.sqlite3"
    data_dir: Path = Path("var")
    base_url: str = "http://127.0.0.1:8000"
    secret: SecretStr = SecretStr("")
    keys_dir: Path = Path("var/keys")
    keys_command: str = ""  # speaks to a secret store: list, get NAME, put NAME, delete NAME; empty: the folder
    clock: Literal["system", "played"] = "system"
    metrics_token: SecretStr = SecretStr("")  # what a monitor sends to read /metrics; empty: nobody reads it
    silence_factor: float = Field(default=3, ge=1, le=10)  # a channel silent for so many times its longest gap
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    session_hours: float = Field(default=8, gt=0, le=24)  # a session ends then, used or not
    session_idle_minutes: float = Field(default=60, gt=0, le=1440)  # and before, when nobody used it for so long
    client_address_header: str = ""  # set by the proxy in front, such as x-forwarded-for; empty: the connection's

    smtp_host: str = ""  # empty: the embedded mailbox
    smtp_port: int = 587
    smtp_starttls: bool = True
    smtp_username: str = ""
    smtp_password: SecretStr = SecretStr("")
    mail_per_minute: int = Field(default=100, ge=0)  # to one domain, by each worker; 0: as fast as the server takes it
    mail_from: str = "notices@portal.invalid"
    returns_address: str = "returns+{ref}@portal.invalid"
    returns_maildir: Path | None = None

    doctor_oidc: DoctorSignIn = DoctorSignIn()
    staff_oidc: StaffSignIn = StaffSignIn()

    @field_validator("base_url")
    @classmethod
    def _without_slash(cls, url: str) -> str:
        return url.rstrip("/")

    @field_validator("returns_address")
    @classmethod
    def _names_the_reference(cls, address: str) -> str:
        if address.count("{ref}") != 1 or address.count("@") != 1 or "{ref}" in address.partition("@")[2]:
            raise ValueError("must hold {ref} once, before the @, as in returns+{ref}@example.org")
        return address

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        sources: list[PydanticBaseSettingsSource] = [init_settings, env_settings]
        if folder := os.environ.get("PORTAL_SECRETS_DIR"):
            sources.append(
                NestedSecretsSettingsSource(
                    file_secret_settings, _existing(folder), secrets_prefix="", secrets_nested_delimiter="__"
                )
            )
        if named := os.environ.get("PORTAL_CONFIG"):
            sources.append(TomlConfigSettingsSource(settings_cls, _existing(named)))
        return tuple(sources)


def _existing(path: str) -> Path:
    if not Path(path).exists():
        raise Refused("settings_missing", "A settings file or secrets folder that is named does not exist.")
    return Path(path)


def signing_secret(settings: Settings) -> bytes:
    """What signs sessions and sign-in state. In demo mode it is made once, kept in `data_dir` (0600)."""
    if given := settings.secret.get_secret_value():
        return given.encode()
    if not settings.demo:
        raise Refused("no_secret", "Set PORTAL_SECRET (see `portal check`).", status=503)
    path = settings.data_dir / "demo-secret"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        draft = path.with_suffix(f".{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(SHORTEST_SECRET), encoding="ascii")
        with suppress(FileExistsError):  # another process was first
            path.hardlink_to(draft)
        draft.unlink()
    return path.read_bytes()


def unsafe(settings: Settings) -> list[Problem]:
    """Every setting that is refused outside demo mode, with how to mend it. Empty means: may start."""
    if settings.demo:
        return []
    return [*_unsafe_service(settings), *_unsafe_mail(settings), *_unsafe_sign_in(settings)]


def _problems(*checks: tuple[bool, str, str, str]) -> list[Problem]:
    return [Problem(code, f"PORTAL_{name.upper()}", what) for wrong, code, name, what in checks if wrong]


def _unsafe_service(s: Settings) -> list[Problem]:
    secret = s.secret.get_secret_value()
    generate = "Generate one with `python -c 'import secrets; print(secrets.token_urlsafe(48))'`."
    return _problems(
        (s.database_url.startswith("sqlite"), "embedded_database", "database_url",
         "SQLite is for the demo and for evaluation: name a PostgreSQL database, postgres://…"),
        (not _is_https(s.base_url), "base_url_in_clear", "base_url",
         "Links in notices would travel in clear: give the public https:// address."),
        (not secret, "no_secret", "secret", f"Sessions cannot be signed. {generate}"),
        (0 < len(secret) < SHORTEST_SECRET, "short_secret", "secret",
         f"The secret has fewer than {SHORTEST_SECRET} characters. {generate}"),
        (0 < len(s.metrics_token.get_secret_value()) < SHORTEST_SECRET, "short_metrics_token", "metrics_token",
         f"The token that opens /metrics has fewer than {SHORTEST_SECRET} characters. {generate}"),
        (not s.keys_command and not s.keys_dir.is_dir(), "no_keys", "keys_dir",
         "The folder of keys does not exist: create the keys with `portal keys create`."),
        (_is_open(s.keys_dir), "keys_exposed", "keys_dir",
         "Others on this machine can read or change the keys: chmod 700 the folder, 600 each file."),
        (s.clock != "system", "demo_clock", "clock", "Only the demo may play with time: set it to system."),
        (s.log_level == "debug", "debug_log", "log_level",
         "Debug logs of libraries can hold personal data: set info or warning."),
    )  # fmt: skip


def _unsafe_mail(s: Settings) -> list[Problem]:
    return _problems(
        (not s.smtp_host, "embedded_mailbox", "smtp_host",
         "Notices would go to the embedded mailbox, to nobody: name your mail server."),
        (bool(s.smtp_host) and not s.smtp_starttls, "mail_in_clear", "smtp_starttls",
         "Notices and the mail password would travel in clear: set it to true."),
        (s.mail_from.endswith(".invalid"), "no_sender", "mail_from",
         "Give the address that notices come from, one that you read."),
        (s.returns_address.endswith(".invalid"), "no_returns_address", "returns_address",
         "Give the address that undeliverable notices come back to, with {ref} in it."),
        (s.returns_maildir is None, "no_returns", "returns_maildir",
         "Unless bounces are read no notice counts: name the Maildir of the returns address."),
    )  # fmt: skip


def _unsafe_sign_in(s: Settings) -> list[Problem]:
    problems = []
    for name, peer in (("doctor_oidc", s.doctor_oidc), ("staff_oidc", s.staff_oidc)):
        demo = peer.issuer.startswith(f"{s.base_url}/demo/") or peer.issuer.endswith(".demo.invalid")
        problems += _problems(
            (not peer.issuer, "no_identity_provider", f"{name}__issuer",
             "Without an issuer the demo's identity provider would be used: name yours."),
            (demo, "demo_identity_provider", f"{name}__issuer",
             "Anybody can be anybody at the demo's identity provider: name yours."),
            (bool(peer.issuer) and not demo and not _is_https(peer.issuer), "identity_in_clear",
             f"{name}__issuer", "Use the https:// address of the identity provider."),
            (not peer.client_id or not peer.client_secret.get_secret_value(), "no_client",
             f"{name}__client_id", "Give the client id and secret that the identity provider issued."),
        )  # fmt: skip
    return problems + _problems(
        (not s.doctor_oidc.acr, "no_level", "doctor_oidc__acr",
         "Any level of proof would do: list the accepted acr values, such as [\"eidas1\"]."),
        (not s.doctor_oidc.doctors_only, "anybody_a_doctor", "doctor_oidc__doctors_only",
         "Anybody with a health card could enrol: set it to true."),
        (not s.staff_oidc.second_factor_required, "no_second_factor", "staff_oidc__second_factor_required",
         "A password alone would open the desk: set it to true."),
    )  # fmt: skip


def _is_https(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" and bool(parts.hostname)


def _is_open(folder: Path) -> bool:
    """Whether anybody but the owner may read or change a file of the folder, or the folder."""
    if not folder.is_dir():
        return False
    return any(path.stat().st_mode & 0o077 for path in (folder, *folder.iterdir()))
