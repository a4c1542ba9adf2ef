"""The command line as a stranger uses it: its own process, exit status, one line on standard error."""

import asyncio
import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from world import TEXTS

from portal.demo.driver import STUDY
from portal.flow import review
from portal.flow.sequence import sequence
from portal.outside.clock import SystemClock
from portal.records.accounts import Account
from portal.records.database import opened
from portal.records.drafts import waiting
from portal.settings import Settings
from portal.wiring import make_means

PORTAL = [sys.executable, "-m", "portal"]


def run(*arguments: str, cwd: Path, given: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PORTAL_")} | settings
    return subprocess.run(
        [*PORTAL, *arguments], cwd=cwd, env=environment, input=given, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("command", [("serve",), ("worker", "--once")])
def test_nothing_starts_on_the_defaults_of_the_demo(command: tuple[str, ...], tmp_path: Path) -> None:
    done = run(*command, cwd=tmp_path)
    assert done.returncode == 1
    assert "PORTAL_DATABASE_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_names_every_unsafe_setting_and_how_to_mend_it(tmp_path: Path) -> None:
    done = run("check", cwd=tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) >= 10
    assert all("PORTAL_" in line for line in done.stderr.splitlines())


def test_wrong_use_ends_with_2(tmp_path: Path) -> None:
    assert run("release", "verify", cwd=tmp_path).returncode == 2
    assert run("nothing-of-the-kind", cwd=tmp_path).returncode == 2


def test_a_small_observatory_is_set_up_by_commands_and_waits_for_the_desk(tmp_path: Path) -> None:
    """Keys, schema, staff and reviewed files; loading again changes nothing; an explanation is given."""
    for family in ("contacts", "blind", "links", "matching", "signing", "observatory:demo"):
        assert run("keys", "create", family, cwd=tmp_path).returncode == 0
    assert "signing" in run("keys", "list", cwd=tmp_path).stdout
    assert run("migrate", cwd=tmp_path).returncode == 0
    assert run("staff", "add", "op@example.org", "--role", "operator", cwd=tmp_path).returncode == 0
    again = run("staff", "add", "op@example.org", "--role", "operator", cwd=tmp_path)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    reviewed = Path(__file__).parents[2] / "portal" / "demo" / "observatory.toml"
    assert "loaded demo" in run("load", str(reviewed), cwd=tmp_path).stdout
    assert run("load", str(reviewed), cwd=tmp_path).stdout == "nothing changed\n"
    practice = tmp_path / "practice.toml"
    practice.write_text('[[practice]]\nid = "cabinet"\nfiness = "750000001"\nname = "Cabinet"\n', encoding="utf-8")
    assert run("load", str(practice), cwd=tmp_path).returncode == 0
    register = tmp_path / "register.csv"
    header = "patient_id,birth_date,sex,family_name,given_names,email\n"
    register.write_text(header + "1,1960-02-30,female,Martin,Camille,\n", encoding="utf-8")
    import_ = ("register", "import", "--practice", "cabinet", "--as", "op@example.org", str(register))
    refused = run(*import_, cwd=tmp_path)
    assert refused.returncode == 1
    assert "line 2, column birth_date" in refused.stderr
    assert "1960" not in refused.stderr
    register.write_text(header + "1,1960-02-03,female,Martin,Camille,c@example.org\n", encoding="utf-8")
    assert "1 new" in run(*import_, cwd=tmp_path).stdout
    said = "Martin\n\nCamille\n1960\n\n12 rue des Lilas\n"
    record = ("objections", "record", "--as", "op@example.org")
    recorded = run(*record, "--received", "2026-01-31", cwd=tmp_path, given=said)
    assert (recorded.returncode, "to be settled by 2026-02-28" in recorded.stdout) == (0, True)
    unmatched = run(*record, cwd=tmp_path, given="Martin\n\n\n\n\n\n")
    assert (unmatched.returncode, "nothing_to_match" in unmatched.stderr) == (1, True)
    listed = run("objections", "list", "--json", cwd=tmp_path).stdout
    assert [(o["channel"], o["late"]) for o in json.loads(listed)] == [("paper", True)]
    assert "Martin" not in listed
    explained = run("gate", "explain", "--observatory", "demo", "--practice", "cabinet", "--patient", "1", cwd=tmp_path)
    assert explained.returncode == 0
    assert "withheld: G01, G02, G04, G10, G12, G20, G45, G50" in explained.stdout, "what was loaded is a draft"
    (doubt,) = (line for line in explained.stdout.splitlines() if line.startswith("✗ G45"))
    entry = doubt.split("  log ")[1].split()[0]
    assert re.search(rf"^log {entry}  2\S+  objected_without_token  by operator:1$", explained.stdout, re.MULTILINE)
    as_json = json.loads(run("gate", "explain", "--observatory", "demo", "--practice", "cabinet", "--patient", "1",
                             "--json", cwd=tmp_path).stdout)  # fmt: skip
    assert {"rules", "log", "passes"} == set(as_json)
    assert [rule["entries"] for rule in as_json["rules"] if rule["code"] == "G45"] == [[int(entry)]]
    assert int(entry) in [one["id"] for one in as_json["log"]]
    permit = run(
        "permit", "issue", "--observatory", "demo", "--practice", "cabinet", "--out", "permit", "--as",
        "op@example.org", cwd=tmp_path,
    )  # fmt: skip
    assert permit.returncode == 1
    assert "G01" in permit.stderr
    run("staff", "add", "second@example.org", "--role", "operator", cwd=tmp_path)
    practice.write_text(practice.read_text(encoding="utf-8").replace("Cabinet", "Autre"), encoding="utf-8")
    nobody = run("load", str(practice), cwd=tmp_path)
    assert (nobody.returncode, nobody.stderr.count("\n")) == (1, 1)
    assert "--as" in nobody.stderr
    assert "loaded cabinet" in run("load", str(practice), "--as", "second@example.org", cwd=tmp_path).stdout


def test_staff_are_invited_listed_and_removed(tmp_path: Path) -> None:
    run("keys", "create", "signing", cwd=tmp_path)
    run("migrate", cwd=tmp_path)
    for role in ("operator", "dpo"):
        assert run("staff", "add", "Both@example.org", "--role", role, cwd=tmp_path).stdout == "invited\n"
    listed = run("staff", "list", cwd=tmp_path).stdout.splitlines()
    assert listed == ["dpo\t-\tboth@example.org\tinvited", "operator\t-\tboth@example.org\tinvited"]
    assert run("staff", "remove", "both@example.org", "--role", "dpo", cwd=tmp_path).stdout == "removed: dpo\n"
    assert len(run("staff", "list", cwd=tmp_path).stdout.splitlines()) == 1
    nobody = run("staff", "remove", "nobody@example.org", cwd=tmp_path)
    assert (nobody.returncode, nobody.stderr.count("\n"), "nobody@" in nobody.stderr) == (1, 1, False)
    assert run("staff", "remove", "both@example.org", cwd=tmp_path).stdout == "removed: operator\n"
    assert run("staff", "list", cwd=tmp_path).stdout == ""
    gone = run("load", str(TEXTS.parent / "observatory.toml"), "--as", "both@example.org", cwd=tmp_path)
    assert (gone.returncode, "[unknown_operator]" in gone.stderr) == (1, True)


def test_a_notice_that_is_hard_to_read_is_loaded_with_a_warning(tmp_path: Path) -> None:
    run("keys", "create", "signing", cwd=tmp_path)
    run("migrate", cwd=tmp_path)
    for role in ("operator", "dpo"):
        run("staff", "add", f"{role}@example.org", "--role", role, cwd=tmp_path)
    run("load", str(TEXTS.parent / "observatory.toml"), cwd=tmp_path)
    asyncio.run(approve_every_draft(tmp_path))
    text = (TEXTS / "notice-child-fr.toml").read_text(encoding="utf-8")
    for words, warnings in (("Tu ne veux pas " * 4 + "?", 1), ("Tu ne veux pas ?", 0)):
        file = tmp_path / "notice.toml"
        file.write_text(text.replace("Tu ne veux pas\u202f?", words), encoding="utf-8")
        done = run("load", str(file), cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, "loaded demo-child-fr-2026-06\n")
        assert done.stderr.count("warning: demo-child-fr-2026-06 is hard to read: ") == warnings
        assert done.stderr.count("16 in the longest") == warnings


def test_a_file_that_is_off_is_refused_line_by_line(tmp_path: Path) -> None:
    run("migrate", cwd=tmp_path)
    file = tmp_path / "study.toml"
    file.write_text('[[study]]\nid = "S"\nk = 1\nobservatory = "demo"\n', encoding="utf-8")
    done = run("load", str(file), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert all(line.startswith("study.toml, line ") for line in lines)
    assert any(line.startswith("study.toml, line 2, study.0.id: ") for line in lines)
    assert any(line.startswith("study.toml, line 3, study.0.k: ") for line in lines)
    assert len(lines) == 7


def test_the_log_is_verified_by_a_command_and_against_a_checkpoint_kept_elsewhere(tmp_path: Path) -> None:
    run("keys", "create", "signing", cwd=tmp_path)
    run("keys", "export-public", "portal.pub", cwd=tmp_path)
    run("migrate", cwd=tmp_path)
    run("staff", "add", "op@example.org", "--role", "operator", cwd=tmp_path)
    early = run("log", "checkpoint", cwd=tmp_path)
    assert (early.returncode, early.stdout) == (1, "")
    assert "no_checkpoint" in early.stderr
    assert "0 entries" in run("log", "verify", cwd=tmp_path).stdout
    asyncio.run(placed(tmp_path))
    checkpoint = run("log", "checkpoint", cwd=tmp_path).stdout
    (tmp_path / "kept").write_text(checkpoint, encoding="utf-8")
    held = run("log", "verify", "kept", "--key", "portal.pub", cwd=tmp_path)
    assert (held.returncode, "it contains the checkpoint" in held.stdout) == (0, True)
    assert run("log", "checkpoint", "--since", "1", cwd=tmp_path).stdout == "old 1\n\n" + checkpoint
    with sqlite3.connect(tmp_path / "var" / "portal.sqlite3") as c:
        c.execute("UPDATE log_entry SET actor = 'operator:9'")
    changed = run("log", "verify", cwd=tmp_path)
    assert (changed.returncode, changed.stderr.count("\n")) == (1, 1)
    assert "log_entry" in changed.stderr


async def placed(folder: Path) -> None:
    """One round of the sequencer, as the worker runs it."""
    settings = Settings(data_dir=folder / "var", keys_dir=folder / "var" / "keys")
    async with opened(f"sqlite://{folder}/var/portal.sqlite3"):
        assert await sequence(make_means(settings, SystemClock())) == 1


def test_keys_are_listed_rotated_and_deleted_by_commands(tmp_path: Path) -> None:
    families = ("contacts", "blind", "links", "matching", "signing", "observatory:demo", "study:diabetes")
    for family in families:
        run("keys", "create", family, cwd=tmp_path)
    run("migrate", cwd=tmp_path)
    run("staff", "add", "op@example.org", "--role", "operator", cwd=tmp_path)
    acting = ("--as", "op@example.org")
    before = fingerprints(tmp_path)
    assert set(before) == set(families)
    for family in ("signing", "links", "contacts", "study:diabetes"):
        done = run("keys", "rotate", family, *acting, cwd=tmp_path)
        assert (done.returncode, done.stdout.startswith("rotated")) == (0, True), done.stderr
    after = fingerprints(tmp_path)
    assert {family for family in families if before[family] != after[family]} == {
        "signing", "links", "contacts", "study:diabetes",
    }  # fmt: skip
    assert "1 former" in run("keys", "list", cwd=tmp_path).stdout
    run("keys", "export-public", "portal.pub", cwd=tmp_path)
    assert (tmp_path / "portal.pub").read_text().count("BEGIN PUBLIC KEY") == 2
    assert run("keys", "forget", "contacts", *acting, cwd=tmp_path).stdout == "1 former keys deleted\n"
    refused = {
        ("rotate", "matching", *acting): "key_kept",
        ("rotate", "signing", "--as", "nobody@example.org"): "unknown_operator",
        ("forget", "links", *acting): "key_in_use",
        ("delete", "--study", "diabetes", *acting): "not_confirmed",
        ("delete", "--study", "diabetes", "--confirm", "diabetes", *acting): "unknown_study",
    }
    for command, code in refused.items():
        done = run("keys", *command, cwd=tmp_path)
        assert (done.returncode, code in done.stderr, done.stderr.count("\n")) == (1, True, 1), command
    reviewed = Path(__file__).parents[2] / "portal" / "demo" / "observatory.toml"
    run("load", str(reviewed), *acting, cwd=tmp_path)
    run("staff", "add", "dpo@example.org", "--role", "dpo", cwd=tmp_path)
    asyncio.run(approve_every_draft(tmp_path))
    run("keys", "create", f"study:{STUDY}", cwd=tmp_path)
    done = run("keys", "delete", "--study", STUDY, "--confirm", STUDY, *acting, cwd=tmp_path)
    assert (done.returncode, f"study:{STUDY}" in fingerprints(tmp_path)) == (0, False), done.stderr
    counted = run("retractions", "--observatory", "demo", "--json", cwd=tmp_path)
    assert json.loads(counted.stdout) == {"open": 0, "overdue": 0, "erased": 0}


async def approve_every_draft(folder: Path) -> None:
    """What the DPO does at the desk."""
    settings = Settings(keys_dir=folder / "var" / "keys", data_dir=folder / "var")
    async with opened(f"sqlite://{folder}/var/portal.sqlite3"):
        dpo = await Account.get(email="dpo@example.org")
        for draft in await waiting():
            await review.approve(make_means(settings, SystemClock()), draft.id, by=dpo, second_factor=True)


def fingerprints(folder: Path) -> dict[str, str]:
    listed = json.loads(run("keys", "list", "--json", cwd=folder).stdout)
    return {one["family"]: one["fingerprint"] for one in listed}
