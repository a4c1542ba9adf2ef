"""Somebody is taken out of released files: only the files that hold her are written again.

Rows stay sorted as they were, so the result is, byte for byte, what filtering without her would have written.
"""

import shutil
from collections.abc import Collection
from pathlib import Path

import pyarrow as pa

from portal.gate.buckets import write_file
from portal.gate.engine import Limits, engine, paths, select


def take_out(records: Path, leaving: Collection[str]) -> list[str]:
    """Rewrites the files of this folder that hold one of these pseudonyms, without their rows; returns their names."""
    files, spill = sorted(records.glob("*.parquet")), records.with_name("spill")
    if not files or not leaving:
        return []
    with engine(Limits(), spill=spill) as con:
        con.register("leaving", pa.table({"pseudonym": pa.array(sorted(leaving), pa.string())}))
        there = f"read_parquet({paths(files)}, hive_partitioning = false, filename = true)"
        found = con.execute(select("DISTINCT filename", f"{there} SEMI JOIN leaving USING (pseudonym)")).fetchall()
        holding = sorted(Path(row[0]) for row in found)
        for file in holding:
            part = file.with_name(f".{file.name}.part")
            rows = f"read_parquet({paths([file])}, hive_partitioning = false) r"
            write_file(con, select("r.*", f"{rows} ANTI JOIN leaving l ON l.pseudonym = r.pseudonym"), part)
            part.rename(file)
    shutil.rmtree(spill, ignore_errors=True)
    return [file.name for file in holding]
