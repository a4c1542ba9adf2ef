"""Damage that nobody thought of: a seeded chance flips, cuts, swaps, mixes and reorders; every result is refused.

What a statement does not cover by a hash must be caught by its signature or by its form: there is no byte in a permit,
an extraction or a release that may be another one.
"""

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import made
import papers
import pyarrow.parquet as pq
import pytest
from test_log_proof import proof_for

from portal.gate.permit import read_permit
from portal.gate.signature import BadSignature, sign, verified
from portal.gate.store import read_extraction
from portal.gate.verify import verify_release
from portal.rules.refusals import Refused
from portal.rules.words import Crossing

FEW, MANY = 270, 2_000

Read = Callable[[Path], object]


def read_a_permit(folder: Path) -> object:
    return read_permit(folder, made.KEY.public_key(), made.NOW, crossing=Crossing.EXTRACTION)


def read_an_extraction(folder: Path) -> object:
    return read_extraction(folder, made.PRACTICE_KEY.public_key())


def read_a_release(folder: Path) -> object:
    return verify_release(folder, made.KEY.public_key())


def make_permit(folder: Path, other: bool) -> Path:
    people = papers.persons()
    if other:
        people.popitem()
    made.permit(folder, made.TERMS, people)
    return folder


def make_extraction(folder: Path, other: bool) -> Path:
    return papers.extraction(folder, made.TERMS if not other else replace(made.TERMS, columns=made.TERMS.columns[:-1]))


def make_release(folder: Path, other: bool) -> Path:
    made_here, _ = papers.release(folder, without_small_cells=other)
    plain = verify_release(made_here, made.KEY.public_key())
    (made_here / "proof.json").write_text(json.dumps(proof_for(plain.release_id, plain.manifest_sha256)))
    return made_here


KINDS: dict[str, tuple[Callable[[Path, bool], Path], Read]] = {
    "permit": (make_permit, read_a_permit),
    "extraction": (make_extraction, read_an_extraction),
    "release": (make_release, read_a_release),
}


# --- damage --------------------------------------------------------------------------------------------------------


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def flip(chance: random.Random, folder: Path, other: Path) -> None:
    """One bit of one file."""
    file = chance.choice([path for path in files_in(folder) if path.stat().st_size])
    content = bytearray(file.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    file.write_bytes(content)


def cut(chance: random.Random, folder: Path, other: Path) -> None:
    file = chance.choice([path for path in files_in(folder) if path.stat().st_size])
    content = file.read_bytes()
    file.write_bytes(content[: chance.randrange(len(content))])


def lengthen(chance: random.Random, folder: Path, other: Path) -> None:
    file = chance.choice(files_in(folder))
    file.write_bytes(file.read_bytes() + chance.randbytes(chance.randrange(1, 20)))


def delete(chance: random.Random, folder: Path, other: Path) -> None:
    chance.choice([path for path in files_in(folder) if path.name != "proof.json"]).unlink()


def swap(chance: random.Random, folder: Path, other: Path) -> None:
    """Two files of the folder exchange their names."""
    contents = {path: path.read_bytes() for path in files_in(folder)}
    one = chance.choice(list(contents))
    two = chance.choice([path for path, content in contents.items() if content != contents[one]])
    one.write_bytes(contents[two])
    two.write_bytes(contents[one])


def mix(chance: random.Random, folder: Path, other: Path) -> None:
    """A file of another genuine folder, well signed as it is."""
    pairs = [(path, other / path.relative_to(folder)) for path in files_in(folder)]
    there = [(ours, theirs) for ours, theirs in pairs if theirs.exists() and ours.read_bytes() != theirs.read_bytes()]
    ours, theirs = chance.choice(there)
    shutil.copyfile(theirs, ours)


def reorder(chance: random.Random, folder: Path, other: Path) -> None:
    """The same rows in another order."""
    tables = {path: pq.read_table(path, partitioning=None) for path in files_in(folder) if path.suffix == ".parquet"}
    file = chance.choice([path for path, table in tables.items() if table.num_rows > 1])
    pq.write_table(tables[file].take(list(range(tables[file].num_rows))[::-1]), file)


DAMAGE = (flip, flip, flip, flip, cut, lengthen, delete, swap, mix, reorder)


# --- the trials ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=list(KINDS))
def genuine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Read]:
    make, read = KINDS[request.param]
    one, other = (make(tmp_path_factory.mktemp(request.param) / "x", different) for different in (False, True))
    read(one)
    read(other)
    return one, other, read


@pytest.mark.shows("R9")
def test_whatever_chance_does_to_a_folder_is_refused(
    genuine: tuple[Path, Path, Read],
    tmp_path: Path,
    how_many: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
) -> None:
    one, other, read = genuine
    trials, seed = how_many(FEW, MANY), 9
    record_property("trials", trials)
    record_property("seed", seed)
    unnoticed = []
    for trial in range(trials):
        chance = random.Random(f"{seed}-{trial}")
        folder = Path(shutil.copytree(one, tmp_path / "spoiled"))
        damage = chance.choice(DAMAGE)
        damage(chance, folder, other)
        try:
            read(folder)
        except Refused:
            pass
        else:
            unnoticed.append((trial, damage.__name__))
        shutil.rmtree(folder)
    assert unnoticed == []


@pytest.mark.shows("R9")
@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_statement_has_one_way_of_being_written(part: int) -> None:
    """Spare bits at the end of a Base64 part decode to the same bytes: a second spelling of one signature."""
    for length in range(1, 4):
        parts = sign("kind", b"x" * length, made.KEY).split(b".")
        last = parts[part][-1:]
        for sign_ in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ \n":
            spoiled = list(parts)
            spoiled[part] = parts[part][:-1] + bytes([sign_])
            if bytes([sign_]) != last:
                with pytest.raises(BadSignature):
                    verified("kind", b".".join(spoiled), made.KEY.public_key())
