"""P3's loop over CSV rows with the permit's list in SQLite, in a process of its own: RECORDS PRACTICES FILE."""

import csv
import json
import sqlite3
import sys
from math import floor

import pyarrow.parquet as pq

from bench.made_records import COLUMNS, made
from bench.measure import CACHE
from bench.peak import peak_megabytes

OUT = ["practice_id", "pseudonym", "doctor_pseudonym", "recorded_on", "provenance", *COLUMNS]


def main(records: int, practices: int, file: str) -> None:
    data = made(records, practices)
    terms = data.permit().terms
    words = {word.value for word in terms.provenance}
    first, last = str(terms.period_from), str(terms.period_until)
    lists = {t.name: set(t.codes) for t in terms.columns if t.codes is not None and t.name != "test_value"}
    doctors = {(d.practice_id, d.doctor_id): d.pseudonym for d in terms.doctors}
    content = [name for name in COLUMNS if name not in {"year_of_birth", "sex"}]
    con = sqlite3.connect(":memory:")
    con.execute("CREATE TABLE allowed (practice TEXT, patient TEXT, pseudonym TEXT, until TEXT, "
                "PRIMARY KEY (practice, patient)) WITHOUT ROWID")  # fmt: skip
    for batch in pq.ParquetFile(data.permit_folder / "allowed.parquet").iter_batches():
        columns = (batch[name].to_pylist() for name in ("practice_id", "patient_id", "pseudonym", "recorded_until"))
        con.executemany("INSERT INTO allowed VALUES (?, ?, ?, ?)",
                        ((a, b, c, d and str(d)) for a, b, c, d in zip(*columns, strict=True)))  # fmt: skip
    passed = 0
    with open(file, newline="", encoding="utf-8") as source, (CACHE / "loop.csv").open("w", newline="") as target:
        writer = csv.DictWriter(target, OUT, extrasaction="ignore")
        for row in csv.DictReader(source):
            if row["provenance"] not in words or not first <= row["recorded_on"] <= last:
                continue
            if not any(row[name] for name in content) or any(row[n] and row[n] not in lists[n] for n in lists):
                continue
            practice, doctor = row["practice_id"], row["doctor_id"]
            if doctor and (practice, doctor) not in doctors:
                continue
            found = con.execute("SELECT pseudonym, until FROM allowed WHERE practice = ? AND patient = ?",
                                (practice, row["patient_id"])).fetchone()  # fmt: skip
            if not found or (found[1] and row["recorded_on"] > found[1]):
                continue
            row["pseudonym"], row["doctor_pseudonym"] = found[0], doctors.get((practice, doctor), "")
            if row["weight_kg"]:
                row["weight_kg"] = str(floor(float(row["weight_kg"]) / 5 + 0.5) * 5)
            writer.writerow(row)
            passed += 1
    print(json.dumps({"passed": passed, "peak_mb": peak_megabytes()}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
