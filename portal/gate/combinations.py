"""Who shares which values: each person's combination of quasi-identifiers, counted file by file.

A combination is the set of her values in each column: somebody who shows two values stands apart from those who show
one. Files whose pseudonyms lie apart (the buckets of a release) are counted one after the other, so memory stays flat.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import duckdb
import pyarrow as pa

from portal.gate.engine import name, paths, select, text

BETWEEN = "\x1f"
"""Between the values of one column of one person; no released value holds it."""

Coarser = Callable[[str], str | None]
"""One value, as text, made coarser."""


def read(files: Sequence[Path]) -> str:
    return f"read_parquet({paths(files)}, hive_partitioning = false)"


def groups(con: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> Iterator[list[Path]]:
    """One file at a time where their statistics show that nobody is in two of them; otherwise all at once."""
    found = con.execute(
        "SELECT file_name, min(coalesce(stats_min_value, '')), max(coalesce(stats_max_value, 'g')), "
        f"sum(row_group_num_rows) FROM parquet_metadata({paths(files)}) WHERE path_in_schema = 'pseudonym' "
        "GROUP BY 1 ORDER BY 2, 3"
    ).fetchall()
    apart = all(before[2] < after[1] for before, after in pairwise(found))
    filled = [Path(file) for file, _, _, rows in found if rows]
    yield from ([file] for file in filled) if apart else [list(files)]


def persons(con: duckdb.DuckDBPyConnection, files: Sequence[Path], columns: Sequence[str]) -> None:
    """Makes the table `person` (pseudonym, v0, v1 …) of these files: each column's values as one text, NULL for none.

    Whoever shows one value a column is read off the least and the greatest; only the others are gathered in full.
    """
    if not columns:
        con.execute(f"CREATE OR REPLACE TEMP TABLE person AS {select('DISTINCT pseudonym', read(files))}")
        return
    ends = ", ".join(f"min({name(c)}) AS a{n}, max({name(c)}) AS b{n}" for n, c in enumerate(columns))
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE ends AS {select(f'pseudonym, {ends}', read(files), 'GROUP BY pseudonym')}"
    )
    one = " AND ".join(f"a{n} IS NOT DISTINCT FROM b{n}" for n in range(len(columns)))
    single = ", ".join(f"CAST(a{n} AS VARCHAR) AS v{n}" for n in range(len(columns)))
    gathered = ", ".join(f"{_gathered(c)} AS v{n}" for n, c in enumerate(columns))
    several = select("pseudonym", "ends", f"WHERE NOT ({one})")
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE person AS {select(f'pseudonym, {single}', 'ends', f'WHERE {one}')} UNION ALL "
        + select(f"pseudonym, {gathered}", read(files), f"SEMI JOIN ({several}) USING (pseudonym) GROUP BY pseudonym")
    )
    con.execute("DROP TABLE ends")


def _gathered(column: str) -> str:
    values = f"list_sort(list_distinct(list(CAST({name(column)} AS VARCHAR))))"
    return f"nullif(array_to_string({values}, {text(BETWEEN)}), '')"


def combine(con: duckdb.DuckDBPyConnection, files: Sequence[Path], columns: Sequence[str]) -> None:
    """Makes the table `combination` (v0, v1 …, n): how many persons share each combination."""
    values = "".join(f"{v}, " for v in names(columns))
    some = list(groups(con, files))
    if all(_one_row_each(con, group) for group in some):
        _count(con, "combination", files, columns)
        return
    kinds = "".join(f"{v} VARCHAR, " for v in names(columns))
    con.execute(f"CREATE OR REPLACE TEMP TABLE part ({kinds}n BIGINT)")
    for group in some:
        persons(con, group, columns)
        con.execute(f"INSERT INTO part {select(f'{values}count(*)', 'person', 'GROUP BY ALL')}")
    con.execute(
        "CREATE OR REPLACE TEMP TABLE combination AS "
        + select(f"{values}CAST(sum(n) AS BIGINT) AS n", "part", "GROUP BY ALL HAVING sum(n) > 0")
    )
    con.execute("DROP TABLE part")


def _one_row_each(con: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> bool:
    """True when each pseudonym is greater than the one before it: rows are persons, and nothing has to be gathered."""
    if len(files) != 1:
        return False
    rises = select("coalesce(pseudonym > lag(pseudonym) OVER (), true) AS rises", read(files))
    found = con.execute(select("count(*)", f"({rises})", "WHERE NOT rises")).fetchone()
    return found == (0,)


def _count(con: duckdb.DuckDBPyConnection, table: str, files: Sequence[Path], columns: Sequence[str]) -> None:
    counted = select(", ".join([*map(name, columns), "count(*) AS n"]), read(files), "GROUP BY ALL HAVING count(*) > 0")
    texts = "".join(f"nullif(CAST({name(column)} AS VARCHAR), '') AS v{n}, " for n, column in enumerate(columns))
    con.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {select(f'{texts}n', f'({counted})')}")


def names(columns: Sequence[str]) -> list[str]:
    """v0, v1 … for these columns."""
    return [f"v{n}" for n in range(len(columns))]


def coarsened(con: duckdb.DuckDBPyConnection, coarser: Mapping[int, Coarser]) -> str:
    """A SELECT of `combination` with some columns (by place) made coarser; combinations that are now one are added.

    Each distinct text is made coarser once, in Python, so that a rule of rules/ladder.py stands in one place.
    """
    columns = [row[0] for row in con.execute("DESCRIBE combination").fetchall()][:-1]
    joins, values = [], []
    for place, column in enumerate(columns):
        if place not in coarser:
            values.append(f"c.{column} AS {column}")
            continue
        seen = [row[0] for row in con.execute(select(f"DISTINCT {column}", "combination")).fetchall()]
        known = {value: _each(value, coarser[place]) for value in seen if value is not None}
        con.register(
            "known", pa.table({"seen": pa.array(known, pa.string()), "is": pa.array(known.values(), pa.string())})
        )
        con.execute(f"CREATE OR REPLACE TEMP TABLE map{place} AS FROM known")
        con.unregister("known")
        joins.append(f"LEFT JOIN map{place} m{place} ON m{place}.seen = c.{column}")
        values.append(f"m{place}.is AS {column}")
    listed = "".join(f"{value}, " for value in values)
    return select(f"{listed}CAST(sum(c.n) AS BIGINT) AS n", "combination c", *joins, "GROUP BY ALL")


def _each(values: str, coarser: Coarser) -> str | None:
    """Every value of a person's set made coarser: still a set, sorted; None when nothing is left."""
    found = {coarser(value) for value in values.split(BETWEEN)} - {None}
    return BETWEEN.join(sorted(str(value) for value in found)) or None
