"""R19: what the demo may do, and nobody else; and where settings come from."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from portal.rules.refusals import Refused
from portal.settings import DoctorSignIn, Settings, SignIn, StaffSignIn, signing_secret, unsafe


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch):
    for name in ("PORTAL_CONFIG", "PORTAL_SECRETS_DIR", "PORTAL_DEMO", "PORTAL_SECRET"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def safe(tmp_path: Path) -> dict[str, Any]:
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    known = {"issuer": "https://idp.example", "client_id": "portal", "client_secret": SecretStr("s")}
    return {
        "database_url": "postgres://portal@db.example/portal",
        "base_url": "https://portal.example",
        "secret": "x" * 32,
        "keys_dir": keys,
        "smtp_host": "mail.example",
        "mail_from": "notices@portal.example",
        "returns_address": "returns+{ref}@portal.example",
        "returns_maildir": tmp_path,
        "doctor_oidc": DoctorSignIn(**known),
        "staff_oidc": StaffSignIn(**known),
    }


def test_a_production_with_all_of_its_parts_may_start(safe: dict[str, Any]):
    assert unsafe(Settings(**safe)) == []


def without(kind: type[SignIn], **changed: Any) -> SignIn:
    return kind(issuer="https://idp.example", client_id="portal", client_secret="s").model_copy(update=changed)


@pytest.mark.shows("R19")
@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("database_url", "sqlite://var/portal.sqlite3", "embedded_database"),
        ("base_url", "http://portal.example", "base_url_in_clear"),
        ("base_url", "https://", "base_url_in_clear"),
        ("secret", "", "no_secret"),
        ("secret", "x" * 31, "short_secret"),
        ("metrics_token", "x" * 31, "short_metrics_token"),
        ("keys_dir", Path("/nowhere/at/all"), "no_keys"),
        ("clock", "played", "demo_clock"),
        ("log_level", "debug", "debug_log"),
        ("smtp_host", "", "embedded_mailbox"),
        ("smtp_starttls", False, "mail_in_clear"),
        ("mail_from", "notices@portal.invalid", "no_sender"),
        ("returns_address", "returns+{ref}@portal.invalid", "no_returns_address"),
        ("returns_maildir", None, "no_returns"),
        ("doctor_oidc", without(DoctorSignIn, issuer=""), "no_identity_provider"),
        ("staff_oidc", without(StaffSignIn, issuer="https://portal.example/demo/id"), "demo_identity_provider"),
        ("staff_oidc", without(StaffSignIn, issuer="http://idp.example"), "identity_in_clear"),
        ("doctor_oidc", without(DoctorSignIn, client_secret=SecretStr("")), "no_client"),
        ("doctor_oidc", without(DoctorSignIn, acr=frozenset()), "no_level"),
        ("doctor_oidc", without(DoctorSignIn, doctors_only=False), "anybody_a_doctor"),
        ("staff_oidc", without(StaffSignIn, second_factor_required=False), "no_second_factor"),
    ],
    ids=str,
)
def test_each_unsafe_setting_is_refused_alone_and_says_how_to_mend_it(
    safe: dict[str, Any], name: str, value: object, code: str
):
    found = unsafe(Settings(**safe | {name: value}))
    assert [problem.code for problem in found] == [code]
    assert found[0].where.startswith(f"PORTAL_{name.upper()}")
    assert len(found[0].what) > 30
    assert unsafe(Settings(**safe | {name: value, "demo": True})) == []


@pytest.mark.shows("R19")
@pytest.mark.parametrize("mode", [0o705, 0o750, 0o702])
def test_a_folder_of_keys_open_to_others_is_refused(safe: dict[str, Any], mode: int):
    safe["keys_dir"].chmod(mode)
    assert [problem.code for problem in unsafe(Settings(**safe))] == ["keys_exposed"]


@pytest.mark.shows("R19")
def test_a_key_open_to_others_is_refused(safe: dict[str, Any]):
    key = safe["keys_dir"] / "links.key"
    key.touch(mode=0o600)
    assert unsafe(Settings(**safe)) == []
    key.chmod(0o644)
    assert [problem.code for problem in unsafe(Settings(**safe))] == ["keys_exposed"]


def test_the_defaults_are_the_demo_and_nothing_else():
    assert unsafe(Settings(demo=True)) == []
    assert len(unsafe(Settings())) >= 10


def test_no_secret_shows_in_a_problem_or_in_print(safe: dict[str, Any]):
    settings = Settings(**safe | {"secret": "hush-hush", "smtp_password": "pass-pass"})
    said = " ".join(map(str, unsafe(settings))) + repr(settings)
    assert "hush-hush" not in said
    assert "pass-pass" not in said


def test_variables_win_over_secret_files_and_those_over_the_toml_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "portal.toml").write_text(
        'smtp_host = "toml"\nsmtp_username = "toml"\nsmtp_password = "toml"\n'
        '[doctor_oidc]\nissuer = "https://toml.example"\nclient_id = "toml"\nacr = ["eidas1", "eidas2"]\n'
    )
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "smtp_password").write_text("file\n")
    (secrets / "smtp_username").write_text("file\n")
    (secrets / "doctor_oidc__client_secret").write_text("file\n")
    (secrets / "of_another_program").write_text("file\n")
    monkeypatch.setenv("PORTAL_CONFIG", str(tmp_path / "portal.toml"))
    monkeypatch.setenv("PORTAL_SECRETS_DIR", str(secrets))
    monkeypatch.setenv("PORTAL_SMTP_USERNAME", "variable")
    monkeypatch.setenv("PORTAL_DOCTOR_OIDC__CLIENT_ID", "variable")
    settings = Settings()
    assert (settings.smtp_host, settings.smtp_username) == ("toml", "variable")
    assert settings.smtp_password.get_secret_value() == "file"
    doctors = settings.doctor_oidc
    assert (doctors.issuer, doctors.client_id) == ("https://toml.example", "variable")
    assert doctors.client_secret.get_secret_value() == "file"
    assert (doctors.acr, doctors.doctors_only) == ({"eidas1", "eidas2"}, True)


@pytest.mark.parametrize("name", ["PORTAL_CONFIG", "PORTAL_SECRETS_DIR"])
def test_a_named_file_that_is_not_there_is_refused(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(name, "/nowhere/at/all")
    with pytest.raises(Refused, match="settings_missing"):
        Settings()


def test_an_unknown_setting_in_the_toml_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "portal.toml").write_text('smtp_hots = "x"\n')
    monkeypatch.setenv("PORTAL_CONFIG", str(tmp_path / "portal.toml"))
    with pytest.raises(ValidationError):
        Settings()


def test_a_pace_below_nothing_is_refused():
    assert Settings(mail_per_minute=0).mail_per_minute == 0
    with pytest.raises(ValidationError):
        Settings(mail_per_minute=-1)


@pytest.mark.parametrize("address", ["returns@portal.example", "{ref}{ref}@portal.example", "returns@{ref}.example"])
def test_a_returns_address_without_its_reference_is_refused(address: str):
    with pytest.raises(ValidationError):
        Settings(returns_address=address)


def test_the_demo_makes_its_secret_once_and_nobody_else_does(tmp_path: Path):
    demo = Settings(demo=True, data_dir=tmp_path / "var")
    assert signing_secret(demo) == signing_secret(demo)
    assert len(signing_secret(demo)) >= 32
    assert (tmp_path / "var" / "demo-secret").stat().st_mode & 0o777 == 0o600
    assert signing_secret(Settings(secret="given")) == b"given"
    with pytest.raises(Refused, match="no_secret"):
        signing_secret(Settings(data_dir=tmp_path))


def test_the_public_address_has_no_slash_at_its_end():
    assert Settings(base_url="https://portal.example/").base_url == "https://portal.example"
