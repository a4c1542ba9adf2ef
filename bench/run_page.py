"""The patient's page in a server process of its own, one worker: `python -m bench.run_page KIND PORT FOLDER`.

`portal` is the whole application. `bare` renders the same template with what it was given before, and asks no
database. `django` and `flask` answer the same address with the same template and send the database the same
statements, through their own connection; they build nothing from the rows, which only makes them quicker.
"""

import os
import pickle
import re
import sys
from pathlib import Path
from typing import Any

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from bench.made_observatory import START, means_in
from portal.demo.clock import PlayedClock
from portal.outside.clock import SystemClock
from portal.web import render


def _kept() -> dict[str, Any]:
    kept: dict[str, Any] = pickle.loads(Path(os.environ["BENCH_PAGE"], "page.pickle").read_bytes())
    return kept


def portal() -> Any:
    from portal.app import build, make_providers
    from portal.settings import Settings

    kept = _kept()
    folder = Path(os.environ["BENCH_PAGE"])
    clock = PlayedClock(START, SystemClock())
    clock.advance_to(kept["now"])
    settings = Settings(
        demo=True, database_url=kept["url"], data_dir=folder / "data", keys_dir=folder / "keys", secret="s" * 40
    )
    doctors, staff = make_providers(settings, clock)
    return build(settings, means_in(folder, clock), doctors=doctors, staff=staff)


def bare() -> Any:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import HTMLResponse
    from starlette.routing import Route

    kept = _kept()

    async def page(request: Request) -> HTMLResponse:
        return HTMLResponse(render.page(kept["template"], language=kept["language"], **kept["context"]))

    return Starlette(routes=[Route("/o/{token}", page)])


def _for_psycopg(statement: str) -> str:
    return re.sub(r"\$\d+", "%s", statement.replace("%", "%%"))


def django() -> Any:
    import django as library
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.db import connection
    from django.http import HttpRequest, HttpResponse
    from django.urls import path

    kept = _kept()
    parts = re.fullmatch(r"postgres://(\w+)@([\d.]+):(\d+)/(\w+)", kept["url"])
    if parts is None:
        raise ValueError("another form of address")
    settings.configure(
        SECRET_KEY="s" * 40, ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], DEBUG=False,
        MIDDLEWARE=["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"],
        DATABASES={"default": {
            "ENGINE": "django.db.backends.postgresql", "USER": parts[1], "HOST": parts[2], "PORT": parts[3],
            "NAME": parts[4], "CONN_MAX_AGE": None,
        }},
    )  # fmt: skip
    library.setup()
    asked = [(_for_psycopg(statement), _ordered(statement, values)) for statement, values in kept["statements"]]

    def page(request: HttpRequest, token: str) -> HttpResponse:
        with connection.cursor() as cursor:
            for statement, values in asked:
                cursor.execute(statement, values)
                cursor.fetchall()
        return HttpResponse(render.page(kept["template"], language=kept["language"], **kept["context"]))

    globals()["urlpatterns"] = [path("o/<str:token>", page)]
    return get_wsgi_application()


def _ordered(statement: str, values: list[Any]) -> list[Any]:
    """The values as often, and in the order, as the statement names them."""
    return [values[int(number) - 1] for number in re.findall(r"\$(\d+)", statement)]


def flask() -> Any:
    from flask import Flask
    from sqlalchemy import create_engine

    kept = _kept()
    app = Flask("page")
    engine = create_engine(kept["url"].replace("postgres://", "postgresql+psycopg://"), pool_size=32)
    asked = [(_for_psycopg(statement), tuple(_ordered(statement, v))) for statement, v in kept["statements"]]

    @app.get("/o/<token>")
    def page(token: str) -> str:
        with engine.connect() as connection:
            for statement, values in asked:
                connection.exec_driver_sql(statement, values).fetchall()
        return render.page(kept["template"], language=kept["language"], **kept["context"])

    return app


if __name__ == "__main__":
    kind, port, folder = sys.argv[1:]
    os.environ["BENCH_PAGE"] = folder
    interface = Interfaces.WSGI if kind in ("django", "flask") else Interfaces.ASGI
    Granian(
        f"bench.run_page:{kind}", address="127.0.0.1", port=int(port), interface=interface, workers=1,
        blocking_threads=8 if interface is Interfaces.WSGI else None, factory=True, log_level=LogLevels.warning,
    ).serve()  # fmt: skip
