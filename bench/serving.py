"""The patient's page served by a process of its own, at a port of its own."""

import os
import pickle
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.made_observatory import START
from bench.measure import ROOT


def prepare(url: str, folder: Path) -> dict[str, Any]:
    """Keeps in the folder what `bench.run_page` needs: the database, the day on which the page is looked at, and the
    statements asked, none as yet."""
    kept: dict[str, Any] = {"url": url, "now": START + timedelta(days=40), "statements": []}
    (folder / "page.pickle").write_bytes(pickle.dumps(kept))
    os.environ["BENCH_PAGE"] = str(folder)
    return kept


@contextmanager
def served(kind: str, folder: Path) -> Iterator[int]:
    """The port of a server of this kind (see `bench.run_page`), once it takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "bench.run_page", kind, str(port), str(folder)], cwd=ROOT)
    try:
        _wait_for(port)
        yield port
    finally:
        server.terminate()
        server.wait(20)


def _wait_for(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("a server did not start")
