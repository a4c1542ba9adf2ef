"""Runs the cases asked for, prints their table, and keeps the results in bench/results/latest.json."""

import argparse
from importlib import import_module
from pathlib import Path

from bench import report


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--only", default="", help="cases by their id: P1,P9")
    parser.add_argument("--scale", choices=("small", "full"), default="small", help="full: the sizes of the targets")
    parser.add_argument("--no-write", action="store_true", help="print the table only")
    asked = parser.parse_args()
    only = {name.strip().upper() for name in asked.only.split(",") if name.strip()}
    figures = []
    for file in sorted(Path(__file__).parent.glob("p[0-9]*_*.py"), key=lambda f: int(f.name[1:].partition("_")[0])):
        case = import_module(f"bench.{file.stem}")
        if not only or only & set(case.IDS):
            print(f"{', '.join(case.IDS)}  {case.__doc__.splitlines()[0]}", flush=True)
            figures += [figure for figure in case.run(asked.scale) if not only or figure.id in only]
    print(report.table(figures))
    if figures and not asked.no_write:
        report.write(figures)


if __name__ == "__main__":
    main()
