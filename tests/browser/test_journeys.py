"""What people do, each in a browser of their own. Patients: by keyboard alone, and without script."""

import hashlib
import re
import sqlite3
import tarfile
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from paper import seen_codes, words
from playwright.sync_api import Locator, Page, expect
from served import Letter, NewContext, Site
from visits import approve, invite, prepare

from portal.gate.age import read_identity
from portal.gate.verify import verify_release

LONGEST_WAY = 80  # presses of the tab key


def press_on(page: Page, target: Locator) -> None:
    """Tab from where the focus is until it is on the target, then Enter."""
    for _ in range(LONGEST_WAY):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            page.keyboard.press("Enter")
            page.wait_for_load_state()
            return
    raise AssertionError(f"{target} is not reached by keyboard")


def heading(page: Page, words: str) -> None:
    expect(page.locator("h1")).to_have_text(re.compile(words))


def dump(site: Site) -> str:
    """A hash of the whole database."""
    with sqlite3.connect(f"file:{site.folder / 'portal.sqlite3'}?mode=ro", uri=True) as c:
        return hashlib.sha256("\n".join(c.iterdump()).encode()).hexdigest()


@pytest.fixture
def letter(site: Site) -> Letter:
    return site.unanswered()


@pytest.fixture
def page(context: NewContext) -> Page:
    """A patient's: without script."""
    return context(java_script_enabled=False, viewport={"width": 375, "height": 667}).new_page()


def test_a_patient_says_no_from_her_mail_and_takes_it_back_by_keyboard(page: Page, letter: Letter) -> None:
    page.goto(f"/demo/mail/?to={letter.address}")
    press_on(page, page.locator("td a"))
    press_on(page, page.locator('main a[href*="/o/"]'))
    heading(page, "Vous pouvez dire non")
    press_on(page, page.get_by_role("button", name="Non, n’utilisez pas mes données."))
    heading(page, "C’est enregistré")
    expect(page.locator("main")).to_contain_text(re.compile(r"[0-9A-F]{4}-[0-9A-F]{4}"))
    assert page.context.cookies() == []

    page.goto(f"/o/{letter.token}")
    heading(page, "Vous avez dit non")
    expect(page.locator(".answer")).to_have_count(0)
    press_on(page, page.get_by_role("link", name="Changer d’avis"))
    press_on(page, page.get_by_role("button", name="Retirer mon non."))
    heading(page, "votre non est retiré")
    page.goto(f"/o/{letter.token}")
    expect(page.locator("#today + p")).to_contain_text("Vous avez retiré votre non")


def test_a_patient_says_yes_and_can_still_say_no(page: Page, letter: Letter) -> None:
    page.goto(f"/o/{letter.token}")
    press_on(page, page.get_by_role("button", name="Oui, utilisez mes données."))
    heading(page, "Votre réponse est notée")
    press_on(page, page.get_by_role("link", name="Revoir la notice"))
    press_on(page, page.get_by_role("button", name="Non, n’utilisez pas mes données."))
    heading(page, "C’est enregistré")


def test_a_part_without_a_choice_is_asked_again_with_the_focus_on_what_is_wrong(page: Page, letter: Letter) -> None:
    page.goto(f"/o/{letter.token}")
    press_on(page, page.get_by_role("link", name="Dire non à une partie seulement"))
    assert page.locator(":checked").count() == 0
    with page.expect_response(re.compile("/object")) as answered:
        press_on(page, page.get_by_role("button", name="Dire non"))
    assert answered.value.status == 422
    expect(page).to_have_title(re.compile("^Erreur"))
    expect(page.locator(".errors")).to_be_focused()
    press_on(page, page.locator(".errors a"))
    expect(page.locator("#scope-everything")).to_be_focused()
    page.keyboard.press("ArrowDown")
    press_on(page, page.get_by_role("button", name="Dire non"))
    heading(page, "ne partiront plus vers cet observatoire")
    page.goto(f"/o/{letter.token}")
    heading(page, "Vous avez dit non à cet observatoire")


def nothing_waits(site: Site) -> bool:
    """Every entry of the log has its place, and every receipt is mailed."""
    with sqlite3.connect(f"file:{site.folder / 'portal.sqlite3'}?mode=ro", uri=True) as c:
        waiting = (
            "SELECT (SELECT count(*) FROM log_entry WHERE id NOT IN (SELECT entry_id FROM log_place)) "
            "+ (SELECT count(*) FROM receipt_mail WHERE done_at IS NULL)"
        )
        return bool(c.execute(waiting).fetchone()[0] == 0)


def test_following_prefetching_and_reloading_change_nothing(site: Site, page: Page, letter: Letter) -> None:
    """What earlier journeys wrote gets its places in the log's tree first, and its receipts leave: from then on nothing
    has cause to change."""
    for _ in range(600):
        if nothing_waits(site):
            break
        page.wait_for_timeout(100)
    assert nothing_waits(site)
    before = dump(site)
    page.goto(f"/o/{letter.token}")
    paths = {str(a.get_attribute("href")) for a in page.locator('a[href^="/"]').all()}
    assert len(paths) >= 5
    for path in sorted(paths):
        for method, purpose in (("GET", "prefetch"), ("GET", "prefetch;prerender"), ("HEAD", "")):
            with urlopen(Request(site.base + path, method=method, headers={"Sec-Purpose": purpose})) as answer:
                assert answer.status == 200
    for _ in range(3):
        page.reload()
    page.goto(f"/o/{letter.token}/withdraw")
    heading(page, "Vous pouvez dire non")
    assert dump(site) == before


def test_a_notice_told_in_french_says_so_on_the_english_page(page: Page, letter: Letter) -> None:
    page.goto(f"/o/{letter.token}")
    page.get_by_role("link", name="English").click()
    heading(page, "You can say no")
    for part in (".document", "#facts ~ dl"):
        assert page.locator(part).first.get_attribute("lang") == "fr"


def test_a_doctor_looks_at_her_dashboard_and_leaves_in_one_click(site: Site, context: NewContext) -> None:
    page = context().new_page()
    site.sign_in(page, "doctor", site.doctor("full"))
    expect(page.locator(".state")).to_have_text("Actif")
    total = int(page.locator("tfoot .n").inner_text())
    assert total == sum(int(n) for n in page.locator("tbody .n").all_inner_texts()) > 0
    page.get_by_role("link", name="Quitter").click()
    page.get_by_role("button", name="Quitter maintenant").click()
    heading(page, "Vous avez quitté l’observatoire")
    page.get_by_role("link", name="Mon tableau de bord").click()
    expect(page.locator(".state")).to_have_text("A quitté")
    page.get_by_role("button", name="Se déconnecter").click()
    expect(page).to_have_url(f"{site.base}/")
    page.goto("/doctor")
    assert "/login" in page.url


def test_the_operator_verifies_an_enrolment_and_the_doctor_becomes_active(site: Site, context: NewContext) -> None:
    waiting = site.doctor("not_verified")
    doctor, operator = context().new_page(), context().new_page()
    site.sign_in(doctor, "doctor", waiting)
    expect(doctor.locator(".state")).to_contain_text("en attente de vérification")
    site.sign_in(operator, "staff", "demo-operator")
    operator.get_by_role("link", name="Inscriptions à vérifier").click()
    row = operator.locator("tr", has_text=waiting.rpartition(":")[2])
    row.get_by_role("button", name="Vérifier").click()
    expect(operator.locator(".errors")).to_be_focused()
    row.locator("input").fill("doctor-1")
    row.get_by_role("button", name="Vérifier").click()
    expect(row.locator(".state")).to_have_text("Actif")
    doctor.reload()
    expect(doctor.locator(".state")).to_have_text("Actif")


def test_a_release_takes_two_people_and_the_recipient_can_verify_it(
    site: Site, context: NewContext, tmp_path: Path
) -> None:
    operator, dpo, recipient = (context().new_page() for _ in range(3))
    for page, role in ((operator, "operator"), (dpo, "dpo"), (recipient, "recipient")):
        site.sign_in(page, "staff", f"demo-{role}")
    release_id = prepare(operator)
    there = f"/desk/releases/{release_id}"
    expect(operator.get_by_role("button", name="Approuver")).to_have_count(0)
    refused = operator.request.post(f"{there}/approve", headers={"Origin": site.base})
    assert refused.status == 403
    approve(dpo, release_id)
    expect(dpo.get_by_role("button", name="Sceller")).to_have_count(0)
    operator.goto(there)
    operator.get_by_role("button", name="Sceller").click()
    expect(operator.locator(".state")).to_have_text("Scellée")

    recipient.goto("/recipient")
    with recipient.expect_download() as download:
        recipient.get_by_role("button", name=release_id).click()
    with tarfile.open(download.value.path()) as archive:
        archive.extractall(tmp_path, filter="data")
    key = load_pem_public_key((site.folder / "portal.pub").read_bytes())
    assert isinstance(key, Ed25519PublicKey)
    verified = verify_release(tmp_path / release_id, key, identity=read_identity(site.folder / "recipient.identity"))
    assert (verified.release_id, verified.study_id) == (release_id, site.story["study"]["id"])
    assert verified.rows > verified.persons > 0


def test_the_printed_notice_has_no_buttons_and_shows_where_links_lead(page: Page, letter: Letter) -> None:
    page.goto(f"/o/{letter.token}")
    page.emulate_media(media="print", color_scheme="dark")
    for shape in ("button", ".menu", ".skip", ".foot", ".lang"):
        assert not any(each.is_visible() for each in page.locator(shape).all()), shape
    after = "link => getComputedStyle(link, '::after').content"
    outward = page.locator('main a[href^="http"]')
    assert outward.count() >= 1
    for each in outward.all():
        assert each.evaluate(after) == f'" ({each.get_attribute("href")})"'
    assert page.locator("body").evaluate("body => getComputedStyle(body).backgroundColor") == "rgb(255, 255, 255)"
    expect(page.locator("#objection")).to_be_visible()


# --- every channel leads to the receipt in three clicks at most ------------------------------------------------------


def letter_in_hand(site: Site, place: int) -> tuple[str, str]:
    """The link in the square and the code of the nth letter, as printed."""
    pdf = (site.folder / "letters" / "letters-1-file.pdf").read_bytes()
    seen = [page["QRCode"] for page in seen_codes(pdf) if "QRCode" in page]
    codes = re.findall(r"(?:Votre code|Your code) ((?:\w{5} ){2}\w{4})", " ".join(words(pdf)))
    assert len(seen) == len(codes) >= 4
    return seen[place], codes[place]


class Clicks:
    """A patient who counts what she presses."""

    def __init__(self, page: Page) -> None:
        self.page, self.made = page, 0

    def on(self, target: Locator) -> None:
        target.click()
        self.page.wait_for_load_state()
        self.made += 1


def test_the_link_of_a_mail_leads_to_the_receipt_in_two_clicks(page: Page, letter: Letter) -> None:
    clicks = Clicks(page)
    page.goto(f"/demo/mail/?to={letter.address}")
    page.locator("td a").click()
    clicks.on(page.locator('main a[href*="/o/"]'))
    clicks.on(page.get_by_role("button", name="Non, n’utilisez pas mes données."))
    heading(page, "C’est enregistré")
    assert clicks.made <= 3


def test_the_square_on_a_letter_leads_to_the_receipt_in_one_click(site: Site, page: Page) -> None:
    link, _ = letter_in_hand(site, 0)
    clicks = Clicks(page)
    page.goto(link)
    clicks.on(page.locator(".answer").first)
    heading(page, "C’est enregistré")
    assert clicks.made <= 3


def test_a_typed_code_leads_to_the_receipt_in_three_clicks_also_with_o_for_zero(site: Site, page: Page) -> None:
    """Typed as people do: small letters, O for 0, l for 1."""
    place = next(n for n in range(1, 99) if set("01") & set(letter_in_hand(site, n)[1]))
    link, code = letter_in_hand(site, place)
    typed = code.lower().replace("0", "O").replace("1", "l")
    assert typed.upper() != code
    clicks = Clicks(page)
    page.goto("/")
    clicks.on(page.get_by_role("link", name="Taper le code d’une lettre"))
    page.locator("#code").fill(typed)
    clicks.on(page.get_by_role("button", name="Ouvrir la notice"))
    assert page.url.startswith(link)
    clicks.on(page.locator(".answer").first)
    heading(page, "C’est enregistré")
    assert clicks.made <= 3


def test_the_form_without_a_link_ends_in_two_clicks(page: Page) -> None:
    clicks = Clicks(page)
    page.goto("/")
    clicks.on(page.get_by_role("link", name="Dire non avec le formulaire"))
    page.locator('input[value="self"]').check()
    for name, text in {"family_name": "Zorglub", "given_names": "Alix", "birth": "1960"}.items():
        page.locator(f"#{name}").fill(text)
    clicks.on(page.get_by_role("button", name="Dire non"))
    heading(page, "C’est reçu")
    assert clicks.made + 1 <= 3, "choosing for whom is a click too"


# --- a doctor joins in three clicks with one site, in five with several ----------------------------------------------


@pytest.mark.parametrize(("sites", "most"), [("one", 3), ("several", 5)])
def test_from_the_invitation_to_active(site: Site, context: NewContext, sites: str, most: int) -> None:
    """The clicks are those on our pages: Pro Santé Connect's own are its own."""
    operator, page = context().new_page(), context(java_script_enabled=False).new_page()
    site.sign_in(operator, "staff", "demo-operator")
    address = f"dr.{sites}@example.org"
    token = invite(site, operator, address)
    person = site.newcomer(several=sites == "several")

    clicks = Clicks(page)
    page.goto(f"/join/{token}")
    heading(page, "Participer : 2 minutes. Arrêter : un clic.".replace(" :", "\u00a0:"))
    clicks.on(page.get_by_role("link", name="Se connecter avec Pro Santé Connect"))
    page.locator(f'button[value="{person}"]').click()
    if sites == "several":
        clicks.on(page.locator('input[name="site"]').first)
        clicks.on(page.get_by_role("button", name="Continuer vers l’accord"))
    clicks.on(page.locator("#read-yes"))
    clicks.on(page.get_by_role("button", name="Signer"))
    heading(page, "Rien ne part avant la vérification.")
    assert clicks.made == most

    operator.reload()
    row = operator.locator("tr", has_text=person.rpartition(":")[2])
    row.locator("input").fill(f"number of {sites}")
    row.get_by_role("button", name="Vérifier").click()
    expect(row.locator(".state")).to_have_text("Actif")
    page.goto("/doctor")
    expect(page.locator(".state").first).to_have_text("Actif")
    assert "/doctor" in site.mailed(address, r"(http://\S+/doctor)\b")
