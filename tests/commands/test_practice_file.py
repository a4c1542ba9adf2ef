"""What a practice's program is told: every entry that is missing or off is named, with what to do."""

from pathlib import Path

import pytest
from test_commands import run

from portal.practice.practice_file import TEMPLATE, read_practice_file
from portal.rules.refusals import Refused, RefusedFile


def filled(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    text = TEMPLATE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "practice.toml"
    path.write_text(text, encoding="utf-8")
    return path


WRONG = {
    "missing": (('work = "work"', ""), "line 1, work: this is needed and missing"),
    "unknown": (('work = "work"', 'work = "work"\nsecret = "x"'), "secret: nothing of this name belongs here"),
    "in clear": (("https://", "http://"), "line 4, portal: the data would travel in clear"),
    "with a path": (("example.org", "example.org/login"), "line 4, portal: write the portal's address alone"),
    "no address": (("https://portal.example.org", "portal"), "line 4, portal: write the portal's address alone"),
    "no text": (('"my-practice"', "7"), "line 5, practice: a text is needed"),
    "a bad id": (("my-practice", "../x"), "line 5, practice: not written as it must be"),
    "too much at once": (("# part_kib = 1024", "part_kib = 99999"), "part_kib: "),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_off_is_named_by_line(what: str, tmp_path: Path) -> None:
    change, said = WRONG[what]
    with pytest.raises(RefusedFile) as refused:
        read_practice_file(filled(tmp_path, change))
    assert said in str(refused.value.problems[0])


def test_a_file_that_is_no_toml_is_refused_at_its_line(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="line 5"):
        read_practice_file(filled(tmp_path, ('"my-practice"', '"my-practice')))


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000"])
def test_a_portal_on_this_very_machine_may_be_in_clear(host: str, tmp_path: Path) -> None:
    read = read_practice_file(filled(tmp_path, ("https://portal.example.org", f"http://{host}/")))
    assert read.portal == f"http://{host}"
    assert read.records == tmp_path / "records"


def test_the_key_is_made_once_for_its_owner_alone_and_what_is_not_ready_is_named(tmp_path: Path) -> None:
    def portal(*arguments: str) -> tuple[int, str, str]:
        done = run("practice", *arguments, cwd=tmp_path)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    assert portal("run")[0] == 2, "there is no configuration"
    assert portal("init")[0] == 0
    assert (tmp_path / "practice.toml").read_text(encoding="utf-8") == TEMPLATE
    assert portal("init")[0] == 1, "one that is there is kept"
    code, _, said = portal("run")
    assert (code, [line.split(",")[1].split(":")[0] for line in said.splitlines()]) == (
        1, [" keys", " client", " portal_key", " register", " records"],
    )  # fmt: skip
    first, second = portal("keys"), portal("keys")
    assert first == second
    assert (first[0], first[1].startswith("-----BEGIN PUBLIC KEY-----\n")) == (0, True)
    (key,) = (tmp_path / "keys").iterdir()
    assert (key.stat().st_mode & 0o777, key.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert "PRIVATE" not in first[1]
    (tmp_path / "keys").chmod(0o755)
    code, out, said = portal("keys")
    assert (code, out, "[key_exposed]" in said) == (1, "", True)
