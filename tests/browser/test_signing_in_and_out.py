"""Signing in and out in a browser, at an identity provider that others wrote; and the page of each way to fail."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from looker import AXE, Looker
from openid_peer import Peer, colleague, doctor, peer
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from served import answers
from whole_site import free_port

DOCTORS = (doctor("anna"), doctor("nurse", profession="60"), doctor("weak", acr="eidas0"))
STAFF = (colleague("lazy", amr=("pwd",)), colleague("stranger"))
LOCALES = {"fr": "fr-FR", "en": "en-GB"}
WIDTHS = (320, 768, 1440)


@dataclass(frozen=True, slots=True)
class Portal:
    base: str
    doctors: Peer
    staff: Peer


@contextmanager
def portal(migrated: Path, folder: Path, *, logout: bool = True) -> Iterator[Portal]:
    """A small observatory, served; `logout`: whether the doctors' provider has a page for signing out."""
    shutil.copyfile(migrated, folder / "portal.sqlite3")
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with peer(base, DOCTORS, logout=logout) as doctors, peer(base, STAFF, staff=True) as staff:
        program = [sys.executable, str(Path(__file__).parent / "other_providers.py")]
        command = [*program, str(folder), str(port), doctors.issuer, staff.issuer]
        log = folder / "served.log"
        paths = {"PYTHONPATH": str(Path(__file__).parents[1])}
        with log.open("w") as out, subprocess.Popen(command, env=os.environ | paths, stdout=out, stderr=out) as serving:
            try:
                answers(base, serving, log)
                yield Portal(base, doctors, staff)
            finally:
                serving.terminate()


@pytest.fixture(scope="module")
def running(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with portal(migrated_sqlite, tmp_path_factory.mktemp("signing-in")) as served:
        yield served


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        yield browser
        browser.close()


@contextmanager
def reader(chrome: Browser, base: str, language: str = "fr") -> Iterator[BrowserContext]:
    context = chrome.new_context(locale=LOCALES[language], reduced_motion="reduce", base_url=base)
    yield context
    context.close()


def choose(page: Page, way: str, sub: str) -> None:
    """From the page for signing in to the provider, which asks who that is, and back."""
    page.goto("/login")
    page.locator(f'main a[href^="/login/{way}"]').click()
    page.locator(f'button[value="{sub}"]').click()
    page.wait_for_url(re.compile(r"/(doctor|desk|login/callback)(\?|$)"))


def without_fault(looker: Looker) -> None:
    """What axe finds on the page that is shown: nothing, at any width, in any colours."""
    looker.page.evaluate(AXE)
    for width in WIDTHS:
        assert looker.axe(width) == [], width
        assert looker.ask("document.documentElement.scrollWidth") <= width
    assert looker.contrast("dark") == []


def test_a_doctor_comes_from_the_first_page_enrols_and_is_signed_out_at_both_ends(
    chrome: Browser, running: Portal
) -> None:
    with reader(chrome, running.base) as context:
        page = context.new_page()
        page.goto("/")
        page.locator('main a[href^="/login"]').first.click()
        if page.url.startswith(f"{running.base}/login"):
            page.locator('main a[href^="/login/doctor"]').click()
        page.locator('button[value="anna"]').click()
        page.wait_for_url("**/doctor")
        page.goto("/doctor/enrol")
        expect(page.locator("main form")).to_contain_text("CABINET A")
        page.goto("/login/doctor")
        page.wait_for_url("**/doctor")  # the provider knows her still

        page.get_by_role("button", name="Se déconnecter").click()
        page.wait_for_url(f"{running.doctors.issuer}/session/end*")
        page.get_by_role("button", name="Yes, sign me out").click()
        page.wait_for_url(f"{running.base}/")
        page.goto("/doctor")
        assert page.url.endswith("/login")
        page.goto("/login/doctor")
        expect(page.get_by_role("heading", name="Who are you?")).to_be_visible()


FAILURES = {
    "no-physician": ("doctor", "nurse", "Ce compte n’est pas celui d’un médecin en exercice.", "practising physician"),
    "level-too-low": ("doctor", "weak", "Cette façon de se connecter ne suffit pas.", "is not enough"),
    "changed-her-mind": ("doctor", "", "Vous n’êtes pas connecté.", "You are not signed in."),
    "one-factor": ("staff", "lazy", "Il faut se connecter avec un second facteur.", "with a second factor"),
    "not-invited": ("staff", "stranger", "Ce compte n’est pas connu ici.", "is not known here"),
}


@pytest.mark.shows("R22")
@pytest.mark.parametrize("language", LOCALES)
@pytest.mark.parametrize("case", FAILURES)
def test_a_sign_in_that_fails_says_why_and_what_to_do(
    chrome: Browser, running: Portal, case: str, language: str
) -> None:
    way, sub, french, english = FAILURES[case]
    with reader(chrome, running.base, language) as context:
        looker = Looker(context, running.base)
        choose(looker.page, way, sub)
        assert looker.ask("document.documentElement.lang") == language
        expect(looker.page.locator("h1")).to_contain_text(french if language == "fr" else english)
        without_fault(looker)
        looker.page.locator("main a.button").click()
        assert looker.page.url.startswith((running.doctors if way == "doctor" else running.staff).issuer)


@pytest.mark.shows("R22")
@pytest.mark.parametrize("language", LOCALES)
def test_the_page_between_the_two_ends_can_be_read(chrome: Browser, running: Portal, language: str) -> None:
    with reader(chrome, running.base, language) as context:
        looker = Looker(context, running.base)
        choose(looker.page, "doctor", "anna")
        looker.page.route(f"{running.doctors.issuer}/session/end*", lambda route: route.abort("aborted"))
        looker.page.locator('form[action^="/logout"] button').click()
        expect(looker.page.locator("main a.button")).to_have_attribute(
            "href", re.compile(f"^{running.doctors.issuer}/session/end")
        )
        without_fault(looker)


@pytest.mark.shows("R22")
@pytest.mark.parametrize("language", LOCALES)
def test_where_the_provider_does_not_answer_the_pages_say_so(
    chrome: Browser, migrated_sqlite: Path, tmp_path: Path, language: str
) -> None:
    with portal(migrated_sqlite, tmp_path, logout=False) as served, reader(chrome, served.base, language) as context:
        looker = Looker(context, served.base)
        choose(looker.page, "doctor", "anna")
        looker.page.locator('form[action^="/logout"] button').click()
        expect(looker.page.locator("main")).to_contain_text(re.compile("dure peut-être encore|may still be signed in"))
        without_fault(looker)
        there = served.base + "/login/doctor"
        for _ in range(2):  # she is known there still, so not asked who she is
            there = looker.page.request.get(there, max_redirects=0).headers["location"]
        served.doctors.stop()
        assert looker.open(there.removeprefix(served.base)) == 503
        expect(looker.page.locator("h1")).to_contain_text(re.compile("n’est pas possible en ce moment|is not possible"))
        without_fault(looker)
