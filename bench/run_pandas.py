"""P3's pandas merge, in a process of its own: RECORDS PRACTICES."""

import json
import sys

import pandas as pd

from bench.made_records import made
from bench.measure import CACHE
from bench.peak import peak_megabytes


def main(records: int, practices: int) -> None:
    data = made(records, practices)
    terms = data.permit().terms
    allowed = pd.read_parquet(data.permit_folder / "allowed.parquet")
    doctors = pd.DataFrame({"practice_id": d.practice_id, "doctor_id": d.doctor_id, "doctor_pseudonym": d.pseudonym}
                           for d in terms.doctors)  # fmt: skip
    asked = [term.name for term in terms.columns]
    rows = pd.read_parquet(
        data.folder, columns=["practice_id", "patient_id", "doctor_id", "recorded_on", "provenance", *asked]
    )
    rows["practice_id"] = rows["practice_id"].astype(str)
    rows["recorded_on"] = pd.to_datetime(rows["recorded_on"])
    first, last = pd.Timestamp(terms.period_from), pd.Timestamp(terms.period_until)
    rows = rows[rows["provenance"].isin([str(word.value) for word in terms.provenance])]
    rows = rows[rows["recorded_on"].between(first, last)]
    for term in terms.columns:
        if term.codes is not None and term.name != "test_value":
            rows = rows[rows[term.name].isna() | rows[term.name].isin(term.codes)]
    content = [name for name in asked if name not in {"year_of_birth", "sex"}]
    rows = rows[rows[content].notna().any(axis=1)]
    rows = rows.merge(
        allowed[["practice_id", "patient_id", "pseudonym", "recorded_until"]],
        on=["practice_id", "patient_id"],
    )  # fmt: skip
    until = pd.to_datetime(rows["recorded_until"])
    rows = rows[until.isna() | (rows["recorded_on"] <= until)]
    rows = rows.merge(doctors, on=["practice_id", "doctor_id"], how="left")
    rows = rows[rows["doctor_id"].isna() | rows["doctor_pseudonym"].notna()]
    rows["weight_kg"] = ((rows["weight_kg"] / 5 + 0.5) // 1 * 5).astype("Int32")
    gate = ["practice_id", "pseudonym", "doctor_pseudonym", "recorded_on", "provenance"]
    rows = rows[gate + asked].sort_values(gate + asked)
    rows.to_parquet(CACHE / "pandas.parquet", compression="zstd", index=False)
    print(json.dumps({"passed": len(rows), "peak_mb": peak_megabytes()}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
