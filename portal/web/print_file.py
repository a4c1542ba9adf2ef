"""The words of letters and of their count sheet, and the images on them, as the press reads them."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import zxingcpp

from portal.flow.paper import PaperLetter, PrintJob
from portal.rules.words import Addressee, Language
from portal.web import render

HEADINGS = {"# ": "h1", "## ": "h2", "### ": "h3"}


def blocks_of(marked: str) -> list[dict[str, Any]]:
    """A text of marked lines as blocks: headings, lists, paragraphs, and the place of the two answers."""
    found: list[dict[str, Any]] = []
    for block in filter(None, (piece.strip() for piece in marked.split("\n\n"))):
        lines = [line.strip() for line in block.splitlines()]
        mark = next((mark for mark in HEADINGS if block.startswith(mark)), None)
        if block == "@answers":
            found.append({"kind": "answers"})
        elif mark:
            found.append({"kind": HEADINGS[mark], "text": " ".join(lines)[len(mark) :]})
        elif all(line.startswith("- ") for line in lines):
            found.append({"kind": "list", "items": [line[2:] for line in lines]})
        else:
            found.append({"kind": "p", "text": " ".join(lines)})
    return found


def text_of(marked: str, language: Language) -> dict[str, Any]:
    """The data of `text.typ` for a text whose first block is its heading."""
    found = blocks_of(marked)
    return {"title": found[0]["text"], "language": language, "blocks": found}


def compose_letters(base_url: str) -> Any:
    """What makes the data of `notice.typ` from a print job. `base_url`: where the page for typed codes is."""

    def compose(job: PrintJob) -> Mapping[str, Any]:
        shared: dict[tuple[object, ...], dict[str, Any]] = {}
        return {
            "title": job.observatory["name"],
            "code_page": f"{base_url.partition('://')[2]}/code",
            "letters": [_letter(job, letter, shared) for letter in job.letters],
        }

    return compose


def _letter(job: PrintJob, letter: PaperLetter, shared: dict[tuple[object, ...], dict[str, Any]]) -> dict[str, Any]:
    """The words of one letter; those that others have too are made once."""
    person = "" if letter.addressee == Addressee.SELF else letter.person
    key = (letter.text_id, letter.practice_name, letter.addressee, person)
    if key not in shared:
        shared[key] = _words(job, letter, person)
    return {
        **shared[key],
        "number": letter.number,
        "lines": letter.lines,
        "code": letter.code,
        "qr": square(letter.link),
        "matrix": _svg(letter.number, zxingcpp.BarcodeFormat.DataMatrix) if letter.lines else "",
    }


def _words(job: PrintJob, letter: PaperLetter, person: str) -> dict[str, Any]:
    language = Language(letter.language)
    given = {"addressee": letter.addressee, "person": person, "practice": letter.practice_name}
    marked = render.page("letter/notice.txt", language=language, observatory=job.observatory, text=letter.text, **given)
    answers = render.page("letter/answers.txt", language=language, addressee=letter.addressee).strip().splitlines()
    named = ("no", "yes", "how", "type_at", "code_name", "qr_alt", "matrix_alt")
    sender = (job.observatory["name"], job.observatory["controller"], job.observatory["postal_address"])
    return {
        "language": language,
        "date": render.day(job.printed_at, language=language),
        "sender": [line for line in sender if line],
        "blocks": blocks_of(marked),
        **dict(zip(named, answers, strict=True)),
    }


def square(link: str) -> str:
    """The square that leads a phone to a link, as SVG: QR, level M, which survives a fold or a stain."""
    return _svg(link, zxingcpp.BarcodeFormat.QRCode, ec_level="M")


def _svg(content: str, form: zxingcpp.BarcodeFormat, **options: str) -> str:
    return str(zxingcpp.create_barcode(content, form, **options).to_svg(add_quiet_zones=False))


def compose_sheet(job: PrintJob) -> Mapping[str, Any]:
    """The data of a print run's count sheet: what was printed, and what is to be done with it."""
    practices = Counter(letter.practice_name for letter in job.letters)
    marked = render.page(
        "letter/sheet.txt",
        language=Language.FR,
        run=job.run,
        observatory=job.observatory["name"],
        printed_at=job.printed_at,
        letters=len(job.letters),
        first=job.letters[0].number if job.letters else "",
        last=job.letters[-1].number if job.letters else "",
        practices=sorted(practices.items()),
    )
    return text_of(marked, Language.FR)
