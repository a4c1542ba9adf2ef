"""The house rules that no tool knows: where time, settings and transactions come from, and that the map is true."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from dead_links import dead_links, documents

import portal

ROOT = Path(__file__).parents[2]
HOUSE = ROOT / "portal"
LONGEST = 300
LONGER = {
    "__main__.py": 400,
    "flow/notify.py": 330,
    "flow/register.py": 350,
    "rules/clearance.py": 325,
}
"""Files that wait to be parted, and how long each may be until then. Nothing is ever added here."""

TWINS = {"behind_link.py", "clearance.py", "clock.py", "people.py", "permit.py", "register.py", "sign_in.py"}
"""One subject in several rooms: decided, kept, done and shown. Any other name stands once."""

CATCHES = {
    "notice_commands.py": "Exception",  # a mail server's pipe: whatever is wrong, the server keeps the message
    "web/problems.py": "Exception",  # the one place where what nobody foresaw becomes a page
}

FILES = sorted(path for path in HOUSE.rglob("*.py") if "__pycache__" not in path.parts)
MODULES = {str(path.relative_to(HOUSE)): ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def named(tree: ast.AST) -> Iterator[str]:
    """Every dotted name in a module, as it is written; imported names too."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute() | ast.Name():
                yield ast.unparse(node)
            case ast.ImportFrom(module=str(module), names=names):
                yield from (f"{module}.{alias.name}" for alias in names)
            case ast.Import(names=names):
                yield from (alias.name for alias in names)


def who_names(pattern: str) -> set[str]:
    return {path for path, tree in MODULES.items() if any(re.search(pattern, name) for name in named(tree))}


def test_transactions_are_begun_in_one_place() -> None:
    assert who_names(r"(^|\.)(in_transaction|atomic)$") == {"records/database.py"}
    begins = {path for path in MODULES if re.search(r"\"(BEGIN|COMMIT|ROLLBACK)\b", _source(path))}
    assert begins <= {"records/sqlite_engine.py"}


def test_time_comes_in_by_one_door() -> None:
    """Nothing looks at a clock by itself. (`perf_counter` and `monotonic` measure, they do not tell the time.)"""
    asks = r"(^|\.)(datetime\.(now|utcnow|today)|date\.today|time\.(time|time_ns|localtime|gmtime))$"
    assert who_names(asks) == {"outside/clock.py"}


def test_the_environment_is_read_in_one_place() -> None:
    assert who_names(r"^os\.(environ|getenv|environb)") <= {"settings.py"}


def test_product_code_asserts_nothing() -> None:
    assert [path for path, tree in MODULES.items() if any(isinstance(n, ast.Assert) for n in ast.walk(tree))] == []


def test_product_code_prints_only_through_typer_or_rich() -> None:
    bare = {
        path
        for path, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
        if "rich.print" not in named(tree)
    }
    assert bare == set()


def test_nobody_catches_everything() -> None:
    caught = [
        (path, ast.unparse(node.type) if node.type else "")
        for path, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
    ]
    assert [at for at in caught if at[1] in {"", "Exception", "BaseException"}] == sorted(CATCHES.items())


def test_there_are_two_levels_of_folders_and_every_file_has_its_own_name() -> None:
    assert [path for path in MODULES if path.count("/") > 1] == []
    names = Counter(path.rpartition("/")[2] for path in MODULES if not path.endswith("__init__.py"))
    assert {name for name, n in names.items() if n > 1} == TWINS
    assert not {"utils.py", "util.py", "helpers.py", "helper.py", "common.py", "manager.py"} & set(names)


def test_the_migrations_do_not_shadow_their_library() -> None:
    assert not (ROOT / "alembic" / "__init__.py").exists()


@pytest.mark.parametrize("path", MODULES)
def test_a_file_fits_in_the_head(path: str) -> None:
    assert len(_source(path).splitlines()) <= LONGER.get(path, LONGEST)


def test_the_map_names_every_module_and_no_other() -> None:
    drawn = Counter(re.findall(r"\s{2,}((?:\w+/)?\w+\.py)\s+\S", portal.__doc__ or ""))
    there = {path for path in MODULES if not path.endswith("__init__.py") and not path.startswith("demo/records/")}
    assert {path for path, n in drawn.items() if n > 1} == set()
    assert set(drawn) == there


def test_every_module_says_what_it_promises() -> None:
    assert [path for path, tree in MODULES.items() if not ast.get_docstring(tree)] == []


def test_the_documents_lead_nowhere_dead() -> None:
    assert [link for document in documents(ROOT) for link in dead_links(document, ROOT)] == []


def test_a_dead_link_is_seen(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# A heading, here\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md) [b](there.md#a-heading-here) [c](https://example.org/x) `[d](code.md)`\n"
        "[e](gone.md) [f](there.md#nothing) ![g](img/gone.png) [h](../outside.md)\n"
    )
    assert [line.split(": ")[1] for line in dead_links(page, tmp_path)] == [
        "gone.md", "there.md#nothing", "img/gone.png", "../outside.md",
    ]  # fmt: skip


def _source(path: str) -> str:
    return (HOUSE / path).read_text(encoding="utf-8")
