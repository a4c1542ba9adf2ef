"""What every answer carries, how faults are shown, and what never reaches a log."""

import logging
import re

import pytest
from whole_site import Web

from portal.records.database import connection
from portal.web.security import LARGEST_BODY, Guard

PATHS = (
    "/",
    "/login",
    "/login/doctor",
    "/doctor",
    "/nowhere",
    "//evil.example/x",
    "/healthz",
    "/o/x",
    "/static/none.css",
)


async def test_every_answer_is_guarded(web: Web) -> None:
    browser = web.browser()
    link = web.world.links["patient1@example.org"]
    answers = [await browser.get(path) for path in (*PATHS, f"/o/{link}", f"/o/{link}/receipt")]
    answers += [await browser.post("/nowhere"), await browser.put("/"), await browser.post("/doctor/leave")]
    answers += [await browser.post("/", headers={"Origin": "null"}), await browser.get("/demo/id/authorize")]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store", answer.url
        assert "strict-transport-security" not in answer.headers


async def test_over_https_browsers_are_told_to_stay_there(web: Web) -> None:
    https = web.settings.model_copy(update={"base_url": "https://portal.example.org"})
    assert "Strict-Transport-Security" in Guard(web.app, settings=https).headers


async def test_files_of_a_named_version_are_kept_for_ever_and_others_asked_for_again(web: Web) -> None:
    browser = web.browser()
    named = re.search(r"/static/portal\.css\?v=\w+", (await browser.get("/")).text)
    assert named
    assert "immutable" in (await browser.get(named[0])).headers["cache-control"]
    assert (await browser.get("/static/portal.css")).headers["cache-control"] == "no-cache"
    assert (await browser.get("/static/../portal/app.py")).status_code == 404
    assert (await browser.get("/static/%2e%2e/pyproject.toml")).status_code == 404


async def test_the_host_header_is_never_believed(web: Web) -> None:
    for path in (*PATHS, "/desk/", "/transparency"):
        for host in ("evil.example", "evil.example:80", "[::1", ""):
            answer = await web.browser().get(path, headers={"Host": host, "X-Forwarded-Host": "evil.example"})
            assert answer.status_code < 500, path
            if "//evil" not in path:
                assert "evil" not in answer.text + answer.headers.get("location", "")


async def test_a_page_that_is_not_there_links_nowhere_else(web: Web) -> None:
    answer = await web.browser().get("//evil.example/x")
    assert answer.status_code == 404
    assert "evil" not in answer.text


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_larger_than_any_form_is_refused(web: Web, declared: bool) -> None:
    link = web.world.links["patient1@example.org"]
    body = b"scope=everything&x=" + b"x" * LARGEST_BODY

    async def pieces():
        yield body

    answer = await web.browser().post(
        f"/o/{link}/object",
        content=body if declared else pieces(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 413
    assert "Il manque quelque chose" in answer.text


async def test_files_are_not_taken_through_forms(web: Web) -> None:
    link = web.world.links["patient1@example.org"]
    answer = await web.browser().post(f"/o/{link}/object", files={"scope": ("x.txt", b"everything")})
    assert answer.status_code == 400


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_fault_is_a_page_with_a_reference_and_the_log_holds_nothing_personal(
    web: Web, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    token = web.world.links["patient1@example.org"]
    path = f"/o/{token}" if method == "GET" else f"/o/{token}/object"
    browser = web.browser()
    await browser.get(f"/o/{token}")
    await connection().execute_script("ALTER TABLE objection RENAME TO lost")
    with caplog.at_level(logging.INFO):
        answer = await browser.request(method, path, data={"scope": "everything"} if method == "POST" else None)
    assert answer.status_code == 500
    assert answer.headers["content-security-policy"]
    reference = re.search(r"Référence de l’incident : ([0-9A-F]{8})", answer.text.replace("\u00a0", " "))
    assert reference
    assert ("deux envois comptent pour un" in answer.text.replace("\u00a0", " ")) == (method == "POST")
    assert "01 99 00 00 00" in answer.text, "a no can be said by telephone meanwhile"
    ours = [r.getMessage() for r in caplog.records if not r.name.startswith("httpx2")]
    assert [m for m in ours if reference[1] in m and "/o/{token}" in m and "OperationalError" in m]
    assert not [m for m in ours if token in m or "Martin" in m or "example.org" in m]
    assert token not in answer.text


async def test_a_whole_visit_leaves_no_personal_word_in_the_log(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    token = web.world.links["parent4@example.org"]
    with caplog.at_level(logging.INFO):
        browser = web.browser()
        for act in ("object", "withdraw", "keep"):
            await browser.post(f"/o/{token}/{act}", data={"scope": "everything"})
        for rest in ("", "/receipt", "/kept", "/part", "/nowhere"):
            await browser.get(f"/o/{token}{rest}")
        await browser.get("/o/not-a-link")
        (web.world.means.ring.folder / "contacts.key").unlink()
        assert (await browser.get(f"/o/{token}")).status_code == 503
    ours = [r.getMessage() for r in caplog.records if not r.name.startswith("httpx2")]
    assert len(ours) == 1
    assert "key_missing" in ours[0]
    assert not re.search(f"{token}|Camille|example", ours[0])


async def test_every_page_is_there_in_both_languages(web: Web) -> None:
    for path in ("/", "/transparency", "/legal", "/login", "/nowhere"):
        for language in ("fr", "en"):
            assert f'<html lang="{language}">' in (await web.browser().get(f"{path}?lang={language}")).text
            chosen = await web.browser(**{"Accept-Language": f"de, {language}-XX;q=0.8"}).get(path)
            assert f'<html lang="{language}">' in chosen.text


async def test_machines_learn_whether_it_lives_and_whether_it_is_ready(web: Web) -> None:
    browser = web.browser()
    assert (await browser.get("/healthz")).text == "ok\n"
    assert (await browser.get("/readyz")).text == "ready\n"
    await connection().execute_script("ALTER TABLE verdict_version RENAME TO lost")
    assert (await browser.get("/readyz")).status_code == 500
    assert (await browser.get("/healthz")).status_code == 200
