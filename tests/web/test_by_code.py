"""The page for the code of a letter, as somebody with a letter in her hand meets it; and whoever tries codes out."""

import re
import time
from pathlib import Path

import pytest
from kept import dump
from tortoise.expressions import Q
from whole_site import Shown, Web
from world import patient

from portal.flow.opt_out import look
from portal.flow.paper import make_codes
from portal.flow.sequence import sequence
from portal.flow.typed_link import FREE_TRIES, PACE, SLOWEST, pace
from portal.gate.receipt import verify_receipt
from portal.outside.keys import read_public_keys
from portal.outside.tokens import sent_letter_code, sent_link_token, token_hash
from portal.records.database import connection
from portal.records.notices import CodeAttempt, Notice
from portal.records.objections import Objection
from portal.rules.typed_code import ALPHABET, grouped, is_code

HOME = {"email": "", "address": "3 rue de la Paix", "postcode": "75002", "city": "Paris"}
UNKNOWN = "00000000000000"


@pytest.fixture
async def letter(web: Web) -> tuple[str, str]:
    """The code and the token of a letter to a fifth patient."""
    await web.world.register([patient("5", **HOME)], partial=True)
    await web.world.tell()
    await make_codes(web.world.means)
    notice, ring = await Notice.get(channel="post"), web.world.means.ring
    given = (ring, str(notice.id), notice.token_hash)
    return sent_letter_code(*given), sent_link_token(*given)


def mistyped(code: str) -> str:
    """As people type: small letters, O for 0, l for 1."""
    return " ".join(code.lower().replace("0", "O").replace("1", "l"))


async def test_a_typed_code_opens_the_page_of_the_letters_link(web: Web, letter: tuple[str, str]) -> None:
    code, token = letter
    browser = web.browser()
    assert (await browser.get("/code")).status_code == 200
    for typed in (code, grouped(code), mistyped(code)):
        answer = await browser.post("/code", data={"code": typed})
        assert (answer.status_code, answer.headers["location"]) == (303, f"/o/{token}")


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "Tapez le code de la lettre."),
        ("7K5B5 DWEV5 D3", "Il manque 2 signes."),
        ("7K5B5 DWEV5 D34", "Il manque 1 signe."),
        ("7K5B5 DWEV5 D34M0", "Il y a 1 signe de trop."),
        ("7K5B5 DWEV5 D340", "Ce code ne mène à rien."),
        (UNKNOWN, "Ce code ne mène à rien."),
        ("x" * 5000, "signes de trop."),
    ],
)
async def test_what_is_no_code_is_asked_again_and_says_what_is_wrong(web: Web, typed: str, words: str) -> None:
    answer = await web.browser().post("/code", data={"code": typed})
    assert answer.status_code == 422
    assert words in answer.text
    assert "#code" in Shown(answer.text).links


async def test_a_slip_of_the_finger_is_not_counted(web: Web, letter: tuple[str, str]) -> None:
    code, _ = letter
    before = await dump()
    wrong = code[:-1] + ALPHABET[(ALPHABET.index(code[-1]) + 1) % 32]
    assert (await web.browser().post("/code", data={"code": code[:-1]})).status_code == 422
    assert await dump() == before
    assert (await web.browser().post("/code", data={"code": wrong})).status_code == 422
    assert (await CodeAttempt.get()).failures == 0


@pytest.mark.shows("R15")
async def test_whoever_tries_unknown_codes_waits_longer_each_time_and_a_right_code_ends_it(
    web: Web, letter: tuple[str, str]
) -> None:
    browser, code = web.browser(), letter[0]
    for _ in range(FREE_TRIES + 2):
        await browser.post("/code", data={"code": UNKNOWN})
    attempt = await CodeAttempt.get()
    assert attempt.failures == FREE_TRIES + 2
    began = time.monotonic()
    assert (await browser.post("/code", data={"code": code})).status_code == 303, "never locked out"
    assert time.monotonic() - began >= PACE.total_seconds()
    assert (await CodeAttempt.get()).failures == 0


@pytest.mark.shows("R15")
async def test_a_queue_that_is_too_long_is_told_to_come_back(web: Web, letter: tuple[str, str]) -> None:
    await web.browser().post("/code", data={"code": UNKNOWN})
    await CodeAttempt.all().update(free_at=web.world.clock.now().replace(year=2099))
    answer = await web.browser().post("/code", data={"code": letter[0]})
    assert answer.status_code == 429
    assert "Attendez une minute" in answer.text
    await CodeAttempt.all().update(free_at=web.world.clock.now())
    assert (await web.browser().post("/code", data={"code": letter[0]})).status_code == 303


@pytest.mark.shows("R15")
async def test_without_the_throttle_nothing_is_looked_up(web: Web, letter: tuple[str, str]) -> None:
    await connection().execute_script("ALTER TABLE code_attempt RENAME TO away")
    answer = await web.browser().post("/code", data={"code": letter[0]})
    assert answer.status_code >= 500
    assert letter[1] not in answer.text


@pytest.mark.shows("R15")
def test_waits_double_and_end_at_the_slowest() -> None:
    waits = [pace(failures) for failures in range(200)]
    assert waits[: FREE_TRIES + 1] == [PACE] * (FREE_TRIES + 1)
    assert waits == sorted(waits)
    assert waits[-1] == SLOWEST


@pytest.mark.shows("R15")
async def test_the_code_and_where_it_was_typed_are_nowhere_at_rest(web: Web, letter: tuple[str, str]) -> None:
    code, token = letter
    await web.browser().post("/code", data={"code": code})
    kept = repr(await dump())
    assert code not in kept
    assert token not in kept
    assert "127.0.0.1" not in repr(await CodeAttempt.all().values())
    notice = await Notice.get(channel="post")
    assert notice.code_hash is not None
    assert notice.code_hash not in (token_hash(code).hex(), token_hash(token).hex())


async def test_codes_are_given_once_and_are_codes(web: Web) -> None:
    ring = web.world.means.ring
    notices = await Notice.filter(~Q(channel="post"))
    codes = {sent_letter_code(ring, str(n.id), n.token_hash) for n in notices}
    assert len(codes) == len(notices)
    assert all(is_code(code) for code in codes)


def key_file(web: Web, folder: Path) -> Path:
    web.world.means.ring.export_public(folder / "portal.pub")
    return folder / "portal.pub"


async def test_a_code_on_paper_is_a_no_of_hers_and_her_link_takes_it_back(
    web: Web, letter: tuple[str, str], tmp_path: Path
) -> None:
    code, token = letter
    desk = await web.as_account(web.world.operator)
    said = {"code": mistyped(code), "channel": "paper", "scope": "everything", "received": "2026-03-01"}
    assert (await desk.post("/desk/objections", data=said)).status_code == 303
    objection = await Objection.get()
    assert (objection.channel, str(objection.received_at.date())) == ("paper", "2026-02-28")
    link = await look(connection(), token)
    assert link.state == "no_everything"
    await sequence(web.world.means)
    receipt = await web.browser().get(f"/o/{token}/receipt.json")
    assert verify_receipt(receipt.content, read_public_keys(key_file(web, tmp_path))).proved
    answer = await web.browser().post(f"/o/{token}/withdraw")
    assert answer.status_code == 303
    assert (await look(connection(), token)).state == "taken_back"


async def test_a_wrong_code_at_the_desk_is_asked_again_and_nothing_is_lost(web: Web) -> None:
    desk = await web.as_account(web.world.operator)
    said = {"code": UNKNOWN, "channel": "paper", "scope": "everything", "family_name": "Bernard"}
    answer = await desk.post("/desk/objections", data=said)
    assert answer.status_code == 422
    assert "Aucune lettre ne porte ce code." in answer.text
    assert re.search(r'value="Bernard"', answer.text)
    assert await Objection.all().count() == 0
