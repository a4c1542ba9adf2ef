"""A practice's papers: poster and leaflet, the kit for the doctor's file, and a paper form that a patient handed in."""

import re

import httpx2
import pypdfium2
import pytest
from kept import dump, one_entry
from paper import seen_codes, words
from whole_site import Shown, Web

from portal.records.accounts import Account
from portal.records.governance import Authorisation
from portal.records.objections import Objection
from portal.rules.reading import BARS, reading
from portal.rules.wording import called_anonymous
from portal.rules.words import Language, Reader
from portal.web.doctor_papers import KIT
from portal.web.print_file import text_of
from portal.web.rich_text import rich_text
from portal.web.waiting_room import SHEETS

ON_BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)


async def browser_of(web: Web, subject: str = "doctor-doctor-1") -> httpx2.AsyncClient:
    return await web.as_account(await Account.get(role="doctor", subject=subject))


def plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u202f", " ")


def squeezed(text: str) -> str:
    """Its letters and figures only: lines break where they like."""
    return re.sub(r"\W", "", text)


async def pdf(browser: httpx2.AsyncClient, name: str, language: str = "fr") -> bytes:
    answer = await browser.get(f"/doctor/papers/{name}?lang={language}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    stem = name.removesuffix(".pdf")
    assert answer.headers["content-disposition"] == f'attachment; filename="{stem}-{language}.pdf"'
    return answer.content


# --- the waiting room ------------------------------------------------------------------------------------------------

SAID = {
    "fr": (
        "Vous pouvez dire non.", "ne la remplace pas", "Rien ne part avant.", "Téléphonez au 01 99 00 00 00.",
        "127.0.0.1:8000/code", "Dites-le à votre médecin.", "Aucune raison à donner.", "Cabinet A",
        "on pourrait parfois vous reconnaître",
    ),
    "en": (
        "You can say no.", "does not replace it", "Nothing leaves before.", "Phone 01 99 00 00 00.",
        "127.0.0.1:8000/code", "Tell your doctor.", "No reason to give.", "Cabinet A", "could sometimes recognise you",
    ),
}  # fmt: skip


@ON_BOTH
async def test_poster_and_leaflet_say_how_to_say_no_and_that_they_are_no_notice(web: Web) -> None:
    browser = await browser_of(web)
    before = await dump()
    for name in SHEETS:
        for language, said in SAID.items():
            made = await pdf(browser, name, language)
            assert pypdfium2.PdfDocument(made).is_tagged()
            assert b"pdfaid:part>2<" in made
            pages = [plain(page) for page in words(made)]
            assert len(pages) == (2 if name == "leaflet.pdf" else 1)
            whole = squeezed(" ".join(pages))
            assert [each for each in said if squeezed(each) not in whole] == [], (name, language)
            assert not called_anonymous(" ".join(pages))
            [square] = [codes["QRCode"] for codes in seen_codes(made) if codes]
            assert (await web.browser().get(square.removeprefix(web.settings.base_url))).status_code == 200
            assert square.endswith("/object")
    assert await dump() == before, "reading changes nothing"


@pytest.mark.parametrize(("name", "size"), [("poster-a4.pdf", (595, 842)), ("poster-a3.pdf", (842, 1191))])
async def test_a_poster_fills_one_page_of_its_paper(web: Web, name: str, size: tuple[int, int]) -> None:
    [page] = pypdfium2.PdfDocument(await pdf(await browser_of(web), name))
    assert tuple(map(round, page.get_size())) == size


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("name", ["poster-a4.pdf", "leaflet.pdf"])
async def test_what_hangs_in_the_waiting_room_can_be_read_by_everybody(web: Web, name: str, language: str) -> None:
    document = pypdfium2.PdfDocument(await pdf(await browser_of(web), name, language))
    lines = "\n".join(page.get_textpage().get_text_bounded() for page in document)
    measured = reading(re.sub(r"(?<![.:])\r?\n", " ", lines))
    assert measured.lix <= BARS[Reader.ADULT].lix, str(measured)


async def test_without_an_authorisation_no_paper_says_what_may_leave(web: Web) -> None:
    await Authorisation.all().update(suspended_at=web.world.clock.now())
    browser = await browser_of(web)
    assert "Sous un numéro :" not in plain(" ".join(words(await pdf(browser, "leaflet.pdf"))))
    assert "Aucune autorisation n’est en vigueur" in plain(" ".join(words(await pdf(browser, "processing.pdf"))))
    await pdf(browser, "dpia.pdf")


async def test_a_poster_is_for_who_takes_part(web: Web) -> None:
    browser = await browser_of(web)
    await browser.post("/doctor/leave")
    assert (await browser.get("/doctor/papers/poster-a4.pdf")).status_code == 409
    page = (await browser.get("/doctor/papers")).text
    assert "poster-a4.pdf" not in page
    assert "retirez-les" in page
    assert (await browser.get("/doctor/papers/dpia.pdf")).status_code == 200
    for name in ("unknown.pdf", "dpia.doc", "dpia", "notice.pdf", "poster-a4.rtf", "%2e%2e"):
        assert (await browser.get(f"/doctor/papers/{name}")).status_code == 404


# --- the kit ---------------------------------------------------------------------------------------------------------


def read_rtf(content: bytes) -> list[str]:
    """The paragraphs of a simple RTF file, by a reader of its own."""
    body = content.decode("ascii").partition(r"\fs21")[2]
    found = []
    for line in body.splitlines():
        text = line.replace(r"\bullet\tab ", "")
        text = re.sub(r"\\u(-?\d+)\?", lambda m: chr(int(m[1]) % 0x10000), text)
        text = text.encode("utf-16", "surrogatepass").decode("utf-16")
        text = re.sub(r"^\{(?:\\[a-z]+-?\d*)+ ?|\\par\}$", "", text)
        found.append(re.sub(r"\\([\\{}])", r"\1", text))
    return [text for text in found if text and text != "}"]


@ON_BOTH
@pytest.mark.parametrize("name", KIT)
async def test_the_kit_is_filled_with_what_is_known_and_can_be_edited(web: Web, name: str) -> None:
    browser = await browser_of(web)
    before = await dump()
    read = plain(" ".join(words(await pdf(browser, f"{name}.pdf"))))
    for fact in (
        "Cabinet A", "750000001", "Dominique doctor-1", "Association d’essai", "dpo@example.org", "DR-2026-001",
        "Recherche en santé publique", "6, 1, e", "9, 2, i", "60 mois", "France", "Laboratoire d’essai",
        "[à compléter]", "pseudonymisées",
        "maladies, telle quelle", "Les données notées avant l’inscription sont incluses.",
    ):  # fmt: skip
        assert fact in read, fact
    assert not called_anonymous(read)
    edited = await browser.get(f"/doctor/papers/{name}.rtf?lang=fr")
    assert edited.headers["content-type"] == "application/rtf"
    assert edited.content.startswith(rb"{\rtf1")
    assert edited.content.count(b"{") == edited.content.count(b"}")
    for paragraph in read_rtf(edited.content):
        assert squeezed(paragraph) in squeezed(read), paragraph
    english = " ".join(words(await pdf(browser, f"{name}.pdf", "en")))
    assert "[to be completed]" in english
    assert await dump() == before


def test_nothing_that_is_said_becomes_a_command_of_the_file() -> None:
    said = ["a \\par{b} \\'41", "{\\object}", "é – « 12\u202f€ »", "𝔸 end", "tab\tnew"]
    text = text_of("# T\n\n" + "\n".join(f"- {each}" for each in said), Language.FR)
    made = rich_text(text)
    assert read_rtf(made)[1:] == said
    assert re.findall(rb"(?<!\\)(?:\\\\)*\\(object|')", made) == []


# --- a paper form that a patient handed in ---------------------------------------------------------------------------


@ON_BOTH
async def test_a_form_handed_in_counts_from_the_day_that_stands_on_it(web: Web) -> None:
    browser = await browser_of(web)
    assert "/object/paper" in Shown((await browser.get("/doctor/papers")).text).links
    async with one_entry("objected"):
        answer = await browser.post("/doctor/papers", data={"number": " 2 ", "said_on": "2026-04-01"})
    assert answer.status_code == 303
    no = await Objection.get()
    assert (no.channel, no.received_at.date().isoformat()) == ("doctor", "2026-03-31"), "midnight in Paris"
    assert "/doctor/objections/" in answer.headers["location"]
    assert "1er avril 2026" in plain((await browser.get(answer.headers["location"])).text)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"number": "999"}, "number"),
        ({"number": ""}, "number"),
        ({"number": "2", "said_on": "1er avril"}, "said_on"),
    ],
)
async def test_a_form_that_names_nobody_or_no_day_is_shown_again_with_what_was_typed(
    web: Web, given: dict[str, str], field: str
) -> None:
    browser = await browser_of(web)
    before = await dump()
    answer = await browser.post("/doctor/papers", data=given)
    assert (answer.status_code, await dump()) == (422, before)
    assert f'href="#{field}"' in answer.text
    assert f'id="{field}"' in answer.text
    for value in given.values():
        assert f'value="{value}"' in answer.text


async def test_a_form_is_noted_at_her_own_practice_only_and_by_who_was_verified(web: Web) -> None:
    await web.world.enrol(2, number="doctor-2", rpps="10000000002")
    await web.world.enrol(1, number="doctor-3", rpps="10000000003", verified=False)
    for subject in ("doctor-doctor-2", "doctor-doctor-3"):
        answer = await (await browser_of(web, subject)).post("/doctor/papers", data={"number": "1"})
        assert answer.status_code == 422
    assert not await Objection.exists()
