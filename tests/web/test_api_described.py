"""The description of the interface is true: whatever a machine makes of it, the answers are those that it names."""

import asyncio
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from programs import program
from whole_site import Web, free_port, served

from portal.rules.rate import Rate
from portal.rules.words import Access
from portal.web.api_description import OPERATIONS, description

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection,missing_required_header,unsupported_method,ignored_auth"
)


def test_every_operation_stands_in_it_under_its_own_name() -> None:
    made = [(method, path) for path, methods in description()["paths"].items() for method in methods]
    assert made == [(each.method.lower(), each.path) for each in OPERATIONS]
    names = [each["operationId"] for methods in description()["paths"].values() for each in methods.values()]
    assert len(names) == len(set(names)) == len(OPERATIONS)
    assert {each.access for each in OPERATIONS} >= {a for a in Access if "Consent" not in a}


async def test_everybody_may_read_it(web: Web) -> None:
    answer = await web.program().get("/api/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == description()


@pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
async def test_whatever_is_sent_the_answer_is_one_that_is_described(web: Web, tmp_path: Path) -> None:
    """Requests made at random from the description, right ones and wrong ones, for the practice that let it act."""
    made = await program(web)
    answer = await made.asks_token()
    described = json.loads(json.dumps(description()))
    for methods in described["paths"].values():
        for operation in methods.values():
            for parameter in operation["parameters"]:
                if parameter["name"] == "practice":
                    parameter["schema"] = {"enum": ["practice-a"]}
    schema = tmp_path / "openapi.json"
    schema.write_text(json.dumps(described), encoding="utf-8")
    web.app.state.portal = replace(web.app.state.portal, programs=Rate(1_000_000, burst=1_000_000))
    async with served(web, port=(port := free_port())):
        run = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "schemathesis.cli", "run", str(schema), "--url", f"http://127.0.0.1:{port}",
            "-H", f"Authorization: Bearer {answer.json()['access_token']}", "--checks", CHECKS,
            "--max-examples", "25", "--seed", "1", "--phases", "examples,coverage,fuzzing", "--no-color",
            cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await run.communicate()
    assert run.returncode == 0, said.decode()[-6000:]
    cases = re.search(rb"(\d+) generated", said)
    assert cases
    assert int(cases[1]) > 300
