"""The benchmarks of the product: each figure beside what a competent person would write, in the same run.

`python -m bench [--only P1,P9] [--scale small|full]`. A case a file, `pN_subject.py`, with `IDS` and `run(scale)`;
docs/benchmarks.md says what each one compares. Nothing here is part of the product or its tests.
"""
