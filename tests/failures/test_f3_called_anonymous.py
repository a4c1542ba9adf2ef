"""F3 (Cegedim's notice, others' publicity): pseudonymous data were called anonymous, to patients and to doctors.

Here a text that says so is refused when it is loaded, no paper of a release says it, and no page does.
"""

import json
import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from kept import dump
from world import TEXTS, World

from portal.flow import govern
from portal.rules.refusals import RefusedFile
from portal.rules.wording import called_anonymous
from portal.web import render

CLAIMS = {
    "notice-adult-fr.toml": ["Vos données sont anonymes.", "Des données anonymisées.", "L’anonymat est garanti."],
    "notice-adult-en.toml": ["Your data are anonymous.", "Nobody sees your name: fully anonymised data."],
    "agreement-fr.toml": ["Les données sont rendues anonymes avant l’envoi."],
    "agreement-en.toml": ["Data are anonymized before they leave."],
}


@pytest.mark.parametrize(("name", "claim"), [(name, claim) for name, claims in CLAIMS.items() for claim in claims])
async def test_f3_a_text_that_calls_the_data_anonymous_is_refused_when_it_is_loaded(
    name: str, claim: str, delivered: tuple[World, str], tmp_path: Path
) -> None:
    world, _ = delivered
    text = (TEXTS / name).read_text(encoding="utf-8")
    (tmp_path / name).write_text(re.sub(r'(?m)^title = ".*"$', f'title = "{claim}"', text), encoding="utf-8")
    before = await dump()
    with pytest.raises(RefusedFile) as no:
        await govern.load(world.means, govern.read_reviewed(tmp_path / name), actor=world.operator.actor)
    line = next(n for n, each in enumerate(text.splitlines(), 1) if each.startswith("title ="))
    assert [(p.code, p.where) for p in no.value.problems] == [("called_anonymous", f"{name}, line {line}, title")]
    assert await dump() == before


async def test_f3_no_paper_of_a_release_calls_it_anonymous(delivered: tuple[World, str]) -> None:
    world, release_id = delivered
    folder = world.means.releases / release_id
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert "pseudonymised personal data" in json.dumps(manifest).casefold()
    papers = [path for path in folder.rglob("*") if path.suffix in (".json", ".md", ".csv")]
    assert {path.name for path in papers} >= {"manifest.json", "README.md", "counts.csv", "disclosure.json"}
    for path in papers:
        assert not called_anonymous(path.read_text(encoding="utf-8")), path.name


def test_f3_no_page_and_no_text_that_is_shipped_calls_it_anonymous() -> None:
    fonts = render.folder("templates") / "letter" / "fonts"
    pages = [p for p in render.folder("templates").rglob("*.*") if fonts not in p.parents] + [*TEXTS.glob("*.toml")]
    assert len(pages) > 30
    for path in pages:
        assert not called_anonymous(path.read_text(encoding="utf-8")), path.name
    english = render.folder("locale") / "en" / "LC_MESSAGES" / "portal.po"
    with english.open("rb") as file:
        said = [word for m in read_po(file) for word in (m.string if isinstance(m.string, tuple) else (m.string,))]
    assert any("anonymous" in word for word in said), "it is denied"
    assert not [word for word in said if called_anonymous(word)]
