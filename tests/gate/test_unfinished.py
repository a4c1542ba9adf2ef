"""What is kept of a release for its reader only, where it is worked on, and who may: on the fewest files."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import made
import pytest

from portal.gate.age import SUFFIX, decrypt, encrypt, identity_of, new_identity, read_identity, recipient_of
from portal.gate.unfinished import alone_with, if_alone_with, keep, left_over, open_kept, remove, work_folder
from portal.rules.refusals import Refused

IDENTITY, STRANGER = identity_of(b"\1" * 32), identity_of(b"\2" * 32)
READER = recipient_of(IDENTITY)


def told(step: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(Refused) as no:
        step()
    assert no.value.status == 422
    assert made.SENTENCE.fullmatch(no.value.what)
    return no.value.code, no.value.where


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    (tmp_path / "plain" / "records" / "deep" / "er").mkdir(parents=True)
    for name in ("1", "2"):
        (tmp_path / "plain" / "records" / "deep" / "er" / name).write_bytes(name.encode())
    (tmp_path / "plain" / "manifest.json").write_text("{}")
    (tmp_path / "plain" / "records" / "0.parquet").write_bytes(b"rows" * 1000)
    return tmp_path / "plain"


def test_what_is_kept_is_readable_by_its_reader_alone_and_given_back_whole(tmp_path: Path, plain: Path) -> None:
    kept = tmp_path / "kept"
    keep(plain, kept, IDENTITY)
    assert made.bytes_of(kept).keys() == {f"{name}.age" for name in made.bytes_of(plain)}
    assert not any(b"rows" in content for content in made.bytes_of(kept).values())
    open_kept(kept, tmp_path / "again", STRANGER, IDENTITY)
    assert made.bytes_of(tmp_path / "again") == made.bytes_of(plain)
    assert told(lambda: open_kept(kept, tmp_path / "other", STRANGER))[0] == "age_unreadable"


def test_what_is_kept_already_stays_as_it_is(tmp_path: Path, plain: Path) -> None:
    (tmp_path / "kept").mkdir()
    keep(plain, tmp_path / "kept", IDENTITY)
    assert list((tmp_path / "kept").iterdir()) == []


def test_the_work_folders_of_a_release_are_its_own(tmp_path: Path) -> None:
    with work_folder(tmp_path / "a" / "work", "r-1") as one, work_folder(tmp_path / "a" / "work", "r-10") as other:
        (tmp_path / "a" / "work" / "r-1~file").write_text("no folder")
        assert one.name.startswith("r-1~")
        assert left_over(tmp_path / "a" / "work", "r-1") == [one]
        assert left_over(tmp_path / "a" / "work", "r-10") == [other]
    assert [p.name for p in (tmp_path / "a" / "work").iterdir()] == ["r-1~file"]


def test_half_of_a_removed_folder_is_never_taken_for_one(tmp_path: Path) -> None:
    for name in ("one", "two", ".one.gone"):
        (tmp_path / name / "deep").mkdir(parents=True)
    remove([tmp_path / "missing", tmp_path / "one", tmp_path / "two"])
    assert list(tmp_path.iterdir()) == []


async def test_whoever_comes_second_waits_until_the_first_has_left(tmp_path: Path) -> None:
    lock, order = tmp_path / "new" / "locks" / "one", list[str]()

    async def inside(name: str, seconds: float) -> None:
        async with alone_with(lock):
            order.append(f"{name} in")
            await asyncio.sleep(seconds)
            order.append(f"{name} out")

    await asyncio.wait_for(asyncio.gather(inside("first", 0.1), inside("second", 0)), 20)
    assert order == ["first in", "first out", "second in", "second out"]
    with if_alone_with(lock) as free:
        assert free, "and the lock is let go"
    assert lock.stat().st_mode & 0o077 == 0


async def test_a_lock_is_let_go_after_an_error(tmp_path: Path) -> None:
    async def broken() -> None:
        async with alone_with(tmp_path / "lock"):
            with if_alone_with(tmp_path / "lock") as free:
                assert not free
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        await broken()
    with if_alone_with(tmp_path / "lock") as free:
        assert free


# --- age -------------------------------------------------------------------------------------------------------------


def test_an_opened_file_is_its_readers_alone_and_a_closed_one_other_bytes_each_time(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"rows")
    for name in ("one", "two"):
        encrypt(tmp_path / "plain", tmp_path / name, READER)
    assert (tmp_path / "one").read_bytes() != (tmp_path / "two").read_bytes()
    decrypt(tmp_path / "one", tmp_path / "opened", IDENTITY)
    assert ((tmp_path / "opened").read_bytes(), (tmp_path / "opened").stat().st_mode & 0o777) == (b"rows", 0o600)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one", "opened", "plain", "two"]


def test_each_refusal_names_the_file_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"rows")
    encrypt(tmp_path / "plain", tmp_path / "closed", READER)
    target = tmp_path / "target"
    assert told(lambda: decrypt(tmp_path / "closed", target, STRANGER)) == ("age_unreadable", "closed")
    assert told(lambda: decrypt(tmp_path / "plain", target, IDENTITY)) == ("age_unreadable", "plain")
    assert told(lambda: decrypt(tmp_path / "gone", target, IDENTITY)) == ("age_unreadable", "gone")
    assert told(lambda: decrypt(tmp_path / "closed", target, READER)) == ("age_identity", "")
    assert told(lambda: encrypt(tmp_path / "plain", target, IDENTITY)) == ("age_recipient", "recipient")
    assert told(lambda: recipient_of("x")) == ("age_identity", "")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["closed", "plain"]


def test_an_identity_is_thirty_two_bytes_written_as_age_does(tmp_path: Path) -> None:
    assert identity_of(b"\1" * 32) == IDENTITY != STRANGER
    assert (SUFFIX, IDENTITY[:16], len(IDENTITY)) == (".age", "AGE-SECRET-KEY-1", 74)
    assert READER.startswith("age1")
    assert recipient_of(new_identity()) != recipient_of(new_identity())
    (tmp_path / "key").write_text(f"\n  # a comment\n  {IDENTITY}  \n\n")
    assert read_identity(tmp_path / "key") == IDENTITY
    for wrong in ("", "# nothing", f"{IDENTITY}\n{STRANGER}", "é"):
        (tmp_path / "key").write_text(wrong, encoding="utf-8")
        assert told(lambda: read_identity(tmp_path / "key")) == ("age_identity", "key")
    assert told(lambda: read_identity(tmp_path / "gone")) == ("age_identity", "gone")
