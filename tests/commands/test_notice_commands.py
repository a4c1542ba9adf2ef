"""Letters by commands: printed, posted, returned, and how it stands."""

import json
from datetime import UTC, datetime, timedelta
from mailbox import Maildir
from pathlib import Path

from paper import seen_codes
from test_commands import run
from world import begun, opened_in, patient

from portal.flow.campaign import start_campaign
from portal.flow.paper import make_codes
from portal.outside.bounces import Kind
from portal.outside.returns import MaildirReturns, Return
from portal.records.migrations import migrate

ROOT = Path(__file__).parents[2]
HOME = {"email": "", "address": "3 rue de la Paix", "postcode": "75002", "city": "Paris"}


async def test_letters_are_printed_posted_and_returned_by_commands(tmp_path: Path) -> None:
    migrate(f"sqlite://{tmp_path}/portal.sqlite3", ROOT / "alembic")
    world = await begun(tmp_path, datetime.now(UTC) - timedelta(days=1))
    async with opened_in(tmp_path):
        await world.enrol()
        await world.register([patient("1", **HOME), patient("2", **HOME)])
        await start_campaign(world.means, observatory_id="demo", practice_id="practice-a", by=world.operator)
        await make_codes(world.means)
    settings = {
        "PORTAL_DATABASE_URL": f"sqlite://{tmp_path}/portal.sqlite3",
        "PORTAL_DATA_DIR": str(tmp_path / "data"),
        "PORTAL_KEYS_DIR": str(tmp_path / "keys"),
    }

    def portal(*arguments: str, given: str = "") -> tuple[int, str]:
        done = run("notices", *arguments, cwd=tmp_path, given=given, **settings)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr

    asked = ("--observatory", "demo", "--as", "operator@example.org", "--out", "out")
    assert json.loads(portal("status", "--observatory", "demo", "--json")[1])["letters_ready"] == 2
    assert portal("print", *asked) == (0, "print run 1: 2 letters\n")
    assert portal("print", *asked, "--run", "1") == (0, "print run 1: 2 letters\n")
    numbers = [s["DataMatrix"] for s in seen_codes((tmp_path / "out" / "letters-1.pdf").read_bytes()) if s]
    assert (tmp_path / "out" / "letters-1-sheet.pdf").read_bytes().startswith(b"%PDF")
    code, said = portal("print", *asked)
    assert (code, said.count("\n")) == (1, 1)
    code, said = portal("posted", "1", "--as", "operator@example.org", "--on", "2020-01-01")
    assert (code, "posted_on" in said) == (1, True)
    assert portal("posted", "1", "--as", "operator@example.org") == (0, "2 letters posted\n")
    code, said = portal("returned", "-", "--as", "operator@example.org", given="1-1-x\n")
    assert (code, "line 1" in said) == (1, True)
    assert portal("returned", "-", "--as", "operator@example.org", given=numbers[1]) == (0, "1 letters returned\n")
    assert "0 queued, 2 sent, 0 delivered, 1 bounced" in portal("status", "--observatory", "demo")[1]


def test_a_bounce_that_a_mail_server_hands_over_is_in_the_maildir_whole_or_the_server_keeps_it(tmp_path: Path) -> None:
    box = tmp_path / "returns"
    said = "Return-Path: <>\nTo: returns+x1@portal.example\nSubject: échec\n\n550 5.1.1\n"
    settings = {"PORTAL_RETURNS_MAILDIR": str(box), "PORTAL_RETURNS_ADDRESS": "returns+{ref}@portal.example"}

    def handed_over(**changes: str) -> tuple[int, str]:
        done = run("notices", "bounced", cwd=tmp_path, given=said, **settings | changes)
        return done.returncode, done.stderr

    nowhere = handed_over()
    assert nowhere == (75, "not kept: OSError\n")
    Maildir(box)
    assert handed_over() == handed_over() == (0, "")
    assert [path.read_text() for path in (box / "new").iterdir()] == [said, said]
    assert list((box / "tmp").iterdir()) == []
    messages = MaildirReturns(box, settings["PORTAL_RETURNS_ADDRESS"]).read().messages
    assert messages == (Return("x1", True, Kind.FAILED),) * 2
    for wrong in ({"PORTAL_RETURNS_ADDRESS": "nobody"}, {"PORTAL_CONFIG": "/nowhere"}):
        code, words = handed_over(**wrong)
        assert (code, words.count("\n")) == (75, 1)
    settings.pop("PORTAL_RETURNS_MAILDIR")
    code, words = handed_over()
    assert (code, "PORTAL_RETURNS_MAILDIR" in words) == (75, True)
