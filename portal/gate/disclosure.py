"""How far a release lets a person be told apart by what a neighbour may know of her: measured, never promised.

By the three criteria of the Article 29 Working Party (opinion 05/2014): singling out by the smallest groups over the
quasi-identifiers, all of them and every four; inference by the groups whose members all share a value. Linkability is
not measured: a pseudonym is of one study only (rules/reasons.py, G13).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import duckdb

from portal.gate.combinations import combine, groups, names, persons, read
from portal.gate.engine import NO_LIMITS, engine, name, select

SUBSET = 4
"""How many quasi-identifiers a neighbour is taken to know at once, when more are declared (TARGETS P6)."""


@dataclass(frozen=True, slots=True)
class Subset:
    """The measures when a neighbour knows only these quasi-identifiers."""

    quasi_identifiers: tuple[str, ...]
    k_min: int
    uniques: int
    persons_below: int


@dataclass(frozen=True, slots=True)
class Shared:
    """Of how many combinations all persons share a value in this column: to know that she is in tells it."""

    column: str
    cells: int


@dataclass(frozen=True, slots=True)
class Disclosure:
    """least: the smallest cell allowed. k_min: the smallest there is (0 when nobody is). persons_below: in cells
    smaller than `least`. sizes: (size of cell, how many such cells), ascending. subsets: every four of more than four
    quasi-identifiers. shared: for each sensitive column."""

    quasi_identifiers: tuple[str, ...]
    least: int
    persons: int
    k_min: int
    uniques: int
    persons_below: int
    sizes: tuple[tuple[int, int], ...]
    subsets: tuple[Subset, ...] = ()
    shared: tuple[Shared, ...] = ()

    @property
    def cells(self) -> int:
        return sum(cells for _, cells in self.sizes)

    def criteria(self) -> dict[str, Any]:
        """The three criteria with what was measured for each. None is ever called met: these are personal data."""
        return {
            "singling_out": {
                "quasi_identifiers": list(self.quasi_identifiers),
                "k_min": self.k_min,
                "uniques": self.uniques,
                "k_min_of_every_four": min((one.k_min for one in self.subsets), default=self.k_min),
            },
            "linkability": {"within_this_study": "one pseudonym a person", "across_studies": "another pseudonym"},
            "inference": {"groups": self.cells, "groups_sharing_a_value": {s.column: s.cells for s in self.shared}},
        }


def measure(
    files: Sequence[Path], quasi_identifiers: Sequence[str], *, least: int, sensitive: Sequence[str] = ()
) -> Disclosure:
    """The measures over the persons in these release files; `sensitive`: columns of which a shared value tells."""
    with engine(NO_LIMITS) as con:
        combine(con, files, quasi_identifiers)
        sizes = _sizes(con, names(quasi_identifiers))
        subsets = _subsets(con, quasi_identifiers, least)
        shared = tuple(_shared(con, files, quasi_identifiers, column) for column in sensitive)
    return Disclosure(
        quasi_identifiers=tuple(quasi_identifiers),
        least=least,
        persons=sum(size * cells for size, cells in sizes),
        k_min=sizes[0][0] if sizes else 0,
        uniques=sum(cells for size, cells in sizes if size == 1),
        persons_below=sum(size * cells for size, cells in sizes if size < least),
        sizes=sizes,
        subsets=subsets,
        shared=shared,
    )


def small_cells(files: Sequence[Path], quasi_identifiers: Sequence[str], *, least: int) -> set[str]:
    """The pseudonyms in cells smaller than `least` (G61). Without them every other cell stays as it is."""
    with engine(NO_LIMITS) as con:
        combine(con, files, quasi_identifiers)
        same = _same(quasi_identifiers)
        found: set[str] = set()
        for some in groups(con, files):
            persons(con, some, quasi_identifiers)
            small = select("p.pseudonym", f"person p JOIN combination c ON {same}", "WHERE c.n < ?")
            found |= {row[0] for row in con.execute(small, [least]).fetchall()}
    return found


def _sizes(con: duckdb.DuckDBPyConnection, known: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """(size, how many) of the groups of persons who share these columns of `combination`."""
    cells = select(", ".join([*known, "CAST(sum(n) AS BIGINT) AS size"]), "combination", "GROUP BY ALL")
    grouped = select("size, count(*)", f"({cells})", "WHERE size > 0 GROUP BY size ORDER BY size")
    return tuple((int(size), int(many)) for size, many in con.execute(grouped).fetchall())


def _subsets(con: duckdb.DuckDBPyConnection, columns: Sequence[str], least: int) -> tuple[Subset, ...]:
    if len(columns) <= SUBSET:
        return ()
    found = []
    for places in combinations(range(len(columns)), SUBSET):
        sizes = _sizes(con, [f"v{place}" for place in places])
        found.append(
            Subset(
                tuple(columns[place] for place in places),
                sizes[0][0] if sizes else 0,
                sum(cells for size, cells in sizes if size == 1),
                sum(size * cells for size, cells in sizes if size < least),
            )
        )
    return tuple(found)


def _same(columns: Sequence[str]) -> str:
    return " AND ".join(f"p.{v} IS NOT DISTINCT FROM c.{v}" for v in names(columns)) or "true"


def _shared(con: duckdb.DuckDBPyConnection, files: Sequence[Path], columns: Sequence[str], column: str) -> Shared:
    con.execute("CREATE OR REPLACE TEMP TABLE numbered AS SELECT *, row_number() OVER () AS cell FROM combination")
    con.execute("CREATE OR REPLACE TEMP TABLE held (cell BIGINT, value VARCHAR, n BIGINT)")
    for some in groups(con, files):
        persons(con, some, columns)
        has = select(f"DISTINCT pseudonym, CAST({name(column)} AS VARCHAR) AS value", read(some))
        con.execute(
            "INSERT INTO held "
            + select(
                "c.cell, h.value, count(*)",
                f"({has}) h JOIN person p USING (pseudonym) JOIN numbered c ON {_same(columns)}",
                "WHERE h.value IS NOT NULL GROUP BY ALL",
            )
        )
    by_all = select(
        "cell, value", "held JOIN numbered c USING (cell)", "GROUP BY cell, value HAVING sum(held.n) = any_value(c.n)"
    )
    row = con.execute(select("count(DISTINCT cell)", f"({by_all})")).fetchone()
    return Shared(column, int(row[0]) if row else 0)
