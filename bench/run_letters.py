"""One side of P13 in a process of its own: SIDE FILES. Sets the same letters; says its time and peak memory."""

import asyncio
import json
import re
import resource
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.peak import peak_megabytes
from portal.flow.govern import read_reviewed
from portal.flow.paper import RUN, PaperLetter, PrintJob
from portal.outside.typeset import TypstPress
from portal.rules.words import Addressee
from portal.web.print_file import compose_letters
from portal.web.render import folder

LETTER = folder("templates") / "letter"
WHEN = datetime(2026, 11, 20, 12, tzinfo=UTC)
compose = compose_letters("https://portal.example")


def job(number: int) -> PrintJob:
    """A whole print run: each letter with its own link, code and number; every seventh is for a parent."""
    [text] = read_reviewed(Path(__file__).parents[1] / "portal" / "demo" / "texts" / "notice-adult-fr.toml").text
    body = {**text.model_dump(mode="json"), "version": text.version}
    letters = [
        PaperLetter(
            number=f"{number}-{place}-0",
            lines=(f"Camille Martin {place}", f"{place} rue de la Paix", "75002 Paris"),
            link=f"https://portal.example/o/{number:03}{place:040}",
            code=f"{place:04}-{number:04}-ABCD-EF",
            language="fr",
            addressee=Addressee.PARENT if place % 7 == 0 else Addressee.SELF,
            person=f"Camille {place}",
            practice_name=f"Cabinet {place % 4}",
            text_id="text",
            text=body,
        )
        for place in range(1, RUN + 1)
    ]
    names = ("name", "controller", "phone", "postal_address", "dpo_contact")
    return PrintJob(number, WHEN, dict.fromkeys(names, "Observatoire"), letters)


def portal(jobs: list[PrintJob]) -> list[bytes]:
    """Words and squares composed, each file set in a process of its own as tagged PDF/A."""

    async def all_of_them() -> list[bytes]:
        return [await TypstPress(LETTER).set("notice", compose(each), at=WHEN) for each in jobs]

    return asyncio.run(all_of_them())


def bare(composed: list[Mapping[str, Any]]) -> list[bytes]:
    """Typst alone, told to make a plain PDF; words and images are ready."""
    import typst

    return [
        typst.compile(
            str(LETTER / "notice.typ"), root=str(LETTER), font_paths=[str(LETTER / "fonts")], ignore_system_fonts=True,
            sys_inputs={"data": json.dumps(each)},
        )
        for each in composed
    ]  # fmt: skip


def cpu() -> float:
    spent = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in spent)


if __name__ == "__main__":
    jobs = [job(number) for number in range(1, int(sys.argv[2]) + 1)]
    ready = [compose(each) for each in jobs] if sys.argv[1] == "bare" else []
    clock, spent = time.perf_counter(), cpu()
    files = bare(ready) if sys.argv[1] == "bare" else portal(jobs)
    took = {"clock": time.perf_counter() - clock, "cpu": cpu() - spent}
    if not all(file.startswith(b"%PDF") for file in files):
        raise RuntimeError("this is no PDF")
    pages = sum(len(re.findall(rb"/Type\s*/Page\b", file)) for file in files)
    print(json.dumps({**took, "peak_mb": peak_megabytes(), "pages": pages}))
