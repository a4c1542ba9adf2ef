"""The filter in a process of its own, for its peak memory: RECORDS PRACTICES FIRST BUCKETS MEMORY THREADS [FILE]."""

import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

from bench.made_records import PRACTICE_KEY, made
from bench.measure import CACHE
from bench.peak import peak_megabytes
from portal.gate.engine import Limits
from portal.gate.filtering import filter_extraction

if __name__ == "__main__":
    records, practices, first, buckets, memory, threads, *file = sys.argv[1:]
    data = made(int(records), int(practices), int(first))
    out = CACHE / "out-alone"
    shutil.rmtree(out, ignore_errors=True)
    limits = Limits(threads=int(threads) or None, memory=memory if memory != "-" else None)
    source = Path(file[0]) if file else data.folder
    counts = filter_extraction(
        data.permit(), source, out, practice_key=PRACTICE_KEY, buckets=int(buckets), limits=limits
    )
    print(json.dumps(asdict(counts) | {"peak_mb": peak_megabytes()}))
