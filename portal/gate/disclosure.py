"""How far a release lets a person be told apart by what a neighbour may know of her: measured, never promised.

A person's cell is the set of her values in each quasi-identifier, at the study's precision: somebody who shows two
values stands apart from those who show one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from portal.gate.engine import Limits, engine, name, paths, select


@dataclass(frozen=True, slots=True)
class Disclosure:
    """least: the smallest cell allowed. k_min: the smallest there is (0 when nobody is). persons_below: in cells
    smaller than `least`. sizes: (size of cell, how many such cells), ascending."""

    quasi_identifiers: tuple[str, ...]
    least: int
    persons: int
    k_min: int
    uniques: int
    persons_below: int
    sizes: tuple[tuple[int, int], ...]


def measure(files: Sequence[Path], quasi_identifiers: Sequence[str], *, least: int) -> Disclosure:
    """The measures over the persons in these release files."""
    query = select("n, count(*)", f"(SELECT count(*) AS n FROM ({_cells(files, quasi_identifiers)}) GROUP BY cell)")
    with engine(Limits()) as con:
        sizes = tuple(con.execute(f"{query} GROUP BY n ORDER BY n").fetchall())
    return Disclosure(
        quasi_identifiers=tuple(quasi_identifiers),
        least=least,
        persons=sum(size * cells for size, cells in sizes),
        k_min=sizes[0][0] if sizes else 0,
        uniques=sum(cells for size, cells in sizes if size == 1),
        persons_below=sum(size * cells for size, cells in sizes if size < least),
        sizes=sizes,
    )


def small_cells(files: Sequence[Path], quasi_identifiers: Sequence[str], *, least: int) -> set[str]:
    """The pseudonyms in cells smaller than `least` (G61). Without them every other cell stays as it is."""
    cells = _cells(files, quasi_identifiers)
    sized = select("pseudonym, count(*) OVER (PARTITION BY cell) AS n", f"({cells})")
    with engine(Limits()) as con:
        return {row[0] for row in con.execute(select("pseudonym", f"({sized})", "WHERE n < ?"), [least]).fetchall()}


def _cells(files: Sequence[Path], quasi_identifiers: Sequence[str]) -> str:
    """(pseudonym, cell), one row a person."""
    values = [f"list_sort(list_distinct(list({name(q)})))::VARCHAR[]" for q in quasi_identifiers]
    cell = f"[{', '.join(values)}]" if values else "true"
    return select(
        f"pseudonym, {cell} AS cell", f"read_parquet({paths(files)}, hive_partitioning = false)", "GROUP BY 1"
    )
