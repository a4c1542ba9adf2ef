"""The filter on a real Spark with two executor processes: the same judgement, the same rows, the same refusals."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import made
import oracle
import pyspark
import pytest
from pyspark.sql import SparkSession

from portal.gate import filtering, spark
from portal.gate.extraction import read_extraction

DATA = Path(__file__).parents[2] / "portal" / "demo" / "records"

CLUSTER = """--master local-cluster[2,1,1024] --conf spark.sql.shuffle.partitions=2 --conf spark.driver.host=127.0.0.1
--conf spark.driver.bindAddress=127.0.0.1 --conf spark.shuffle.compress=false pyspark-shell"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """Two executors of 1 GB. Their folders stand beside links to Spark, which itself may be read-only."""
    home = tmp_path_factory.mktemp("spark")
    for part in Path(pyspark.__file__).parent.iterdir():
        (home / part.name).symlink_to(part)
    settings = {"SPARK_HOME": str(home), "SPARK_LOCAL_DIRS": str(home / "local"), "PYSPARK_SUBMIT_ARGS": CLUSTER}
    with pytest.MonkeyPatch.context() as environment:
        for name, value in settings.items():
            environment.setenv(name, value)
        session = spark.started()
        yield session
        session.stop()


def test_the_demos_records_pass_as_with_duckdb(tmp_path: Path, cluster: SparkSession) -> None:
    records = oracle.flat_from_fhir(DATA)
    permit = made.permit(tmp_path / "permit", *made.real_terms(records))
    folder = made.write_partitions(tmp_path / "by-practice", records)
    counts = filtering.filter_extraction(
        permit, folder, tmp_path / "duckdb", practice_key=made.PRACTICE_KEY, buckets=16
    )
    found = spark.filter_extraction(cluster, permit, str(folder), tmp_path / "spark", practice_key=made.PRACTICE_KEY)
    assert found == counts
    for name in (f"{digit}.parquet" for digit in "0123456789abcdef"):
        ours, theirs = (made.rows_of(tmp_path / engine / "records", name) for engine in ("spark", "duckdb"))
        assert Counter(ours) == Counter(theirs)
    read_extraction(tmp_path / "spark", made.PRACTICE_KEY.public_key())
