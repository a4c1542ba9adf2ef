"""F20 (gICS' stock image): consents stood behind no password until somebody set one.

Here nothing is open until somebody opens it: what a stock installation would leave open stops the start, one by one,
and what is served shows nobody's data to who is not signed in.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

import pytest
from whole_site import address, free_port

from portal.web.routes import PAGES, Page

Environment = dict[str, str]


@pytest.fixture
def safe(tmp_path: Path, postgres_url: str) -> Environment:
    """Every setting of a production."""
    for name in ("keys", "returns", "data"):
        (tmp_path / name).mkdir(mode=0o700)
    given = {
        "DATABASE_URL": postgres_url, "DATA_DIR": str(tmp_path / "data"), "KEYS_DIR": str(tmp_path / "keys"),
        "BASE_URL": "https://portal.example.org", "SECRET": "s" * 40, "SMTP_HOST": "mail.example.org",
        "MAIL_FROM": "notices@example.org", "RETURNS_ADDRESS": "returns+{ref}@example.org",
        "RETURNS_MAILDIR": str(tmp_path / "returns"),
    }  # fmt: skip
    for peer in ("DOCTOR_OIDC", "STAFF_OIDC"):
        given |= {f"{peer}__ISSUER": "https://id.example.org", f"{peer}__CLIENT_ID": "portal"}
        given |= {f"{peer}__CLIENT_SECRET": "secret"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
    return kept | {f"PORTAL_{name}": value for name, value in given.items()}


class Stays(HTTPRedirectHandler):
    def redirect_request(self, *away: object) -> None:
        """Where an answer leads is not followed."""


def ask(base: str, page: Page) -> tuple[int, str]:
    """The status of a page for somebody who is not signed in, and where it leads."""
    request = Request(base + address(page), method=page.method, data=b"" if page.method == "POST" else None)
    try:
        with build_opener(Stays()).open(request, timeout=10) as answer:
            return answer.status, ""
    except HTTPError as no:
        return no.code, no.headers.get("location", "")


@contextmanager
def started(environment: Environment, port: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "portal", "serve", "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=30)


def answers(port: int) -> bool:
    try:
        with build_opener().open(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except URLError:
        return False


def test_a_production_starts_and_shows_nothing_to_who_is_not_signed_in(safe: Environment, durable_url: str) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with started(safe | {"PORTAL_DATABASE_URL": durable_url}, port) as serving:
        until = time.monotonic() + 60
        while not answers(port):
            assert serving.poll() is None, serving.stdout.read() if serving.stdout else ""
            assert time.monotonic() < until
            time.sleep(0.1)
        for page in PAGES:
            status, where = ask(base, page)
            if page.who.token:
                assert status == 401, page
            elif page.who.roles is not None and page.method == "GET":
                assert (status, where) == (303, "/login"), page
            elif page.who.roles is not None:
                assert status == 401, page
        for room in ("/demo/id/authorize", "/demo/mail/", "/docs", "/admin"):
            assert ask(base, Page("GET", room, PAGES[0].answers, PAGES[0].who))[0] == 404


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "sqlite://var/portal.sqlite3"),
        ("BASE_URL", "http://portal.example.org"),
        ("SECRET", ""),
        ("SECRET", "short"),
        ("METRICS_TOKEN", "metrics"),
        ("CLOCK", "played"),
        ("LOG_LEVEL", "debug"),
        ("SMTP_HOST", ""),
        ("SMTP_STARTTLS", "false"),
        ("STAFF_OIDC__ISSUER", ""),
        ("STAFF_OIDC__ISSUER", "https://portal.example.org/demo/id"),
        ("STAFF_OIDC__SECOND_FACTOR_REQUIRED", "false"),
        ("DOCTOR_OIDC__CLIENT_SECRET", ""),
        ("DEMO", "true"),
    ],
    ids=lambda value: str(value) or "empty",
)
def test_each_thing_that_a_stock_installation_leaves_open_stops_the_start(
    safe: Environment, name: str, value: str
) -> None:
    port = free_port()
    with started(safe | {f"PORTAL_{name}": value}, port) as refused:
        assert refused.wait(timeout=60) == 1
        said = refused.stdout.read() if refused.stdout else ""
        assert not answers(port)
    assert f"PORTAL_{name.partition('__')[0]}" in said
    assert len(said.splitlines()) == 1
    assert "Traceback" not in said


def test_an_open_folder_of_keys_stops_the_start(safe: Environment) -> None:
    Path(safe["PORTAL_KEYS_DIR"]).chmod(0o755)
    with started(safe, free_port()) as refused:
        assert refused.wait(timeout=60) == 1
        assert "PORTAL_KEYS_DIR" in (refused.stdout.read() if refused.stdout else "")
