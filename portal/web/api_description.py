"""Every address of the interface for programs, and its description as OpenAPI 3.1, made from this one table."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from portal.rules.scopes import Access
from portal.web import api
from portal.web import api_forms as forms
from portal.web.api_reading import LINES

FORMAT = "application/json"
PROBLEM = "application/problem+json"
BYTES = {"type": "string", "format": "binary"}

SAYS = {
    400: "Not a request that can be read.",
    401: "No token, one that has ended, or an assertion that is not accepted.",
    403: "The token does not open this, or the request comes from another site.",
    404: "No such thing, or nobody lets this program act for this practice.",
    409: "Refused: `code` says why.",
    413: "Larger than may be sent at once.",
    415: "Another content type.",
    422: "Something that was sent is off: `problems` names each place.",
    429: "Too many requests: `Retry-After` says how long to wait.",
    503: "Not possible now.",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one address. `sends` and `gives`: a model (as JSON), or content types with their schema."""

    method: str
    path: str
    answers: Callable[[Request], Awaitable[Response]]
    access: Access | None
    summary: str
    gives: type[BaseModel] | dict[str, Any]
    sends: type[BaseModel] | dict[str, Any] | None = None
    query: type[BaseModel] | None = None
    status: int = 200
    refuses: tuple[int, ...] = ()
    once: bool = False
    params: dict[str, Any] = field(default_factory=dict)


def _lines(whole: type[BaseModel]) -> dict[str, Any]:
    return {FORMAT: whole, LINES: {"type": "string", "description": "One item a line."}}


_IN_PRACTICE = "/api/v1/practices/{practice}"
_EXTRACTION = {"extraction": {"type": "string", "pattern": "^[0-9a-f]{64}$"}}
_TOKEN_FORM = {
    "application/x-www-form-urlencoded": {
        "type": "object",
        "required": ["grant_type", "client_assertion_type", "client_assertion"],
        "properties": {
            "grant_type": {"const": "client_credentials"},
            "client_assertion_type": {"const": api.ASSERTION_TYPE},
            "client_assertion": {"type": "string"},
            "scope": {"type": "string"},
        },
    }
}

OPERATIONS: tuple[Operation, ...] = (
    Operation("POST", "/api/v1/token", api.token, None, "A token, for a signed assertion.", forms.TokenAnswer,
              sends=_TOKEN_FORM),
    Operation("PUT", f"{_IN_PRACTICE}/register", api.put_register, Access.REGISTER,
              "Take in the practice's patients; a file with any bad row is refused whole.", forms.RegisterAnswer,
              sends=dict.fromkeys(api.REGISTERS, BYTES), query=forms.RegisterQuery, refuses=(409, 413, 415)),
    Operation("GET", f"{_IN_PRACTICE}/patients", api.patients, Access.PATIENTS,
              "The patients and where each stands, never why.", forms.PatientsAnswer, query=forms.PatientsQuery),
    Operation("POST", f"{_IN_PRACTICE}/hand-outs", api.report_hand_outs, Access.HAND_OUTS,
              "Notices were handed out; each waits for a doctor's confirmation.", forms.HandOutsAnswer,
              sends=_lines(forms.HandOuts), refuses=(409, 413, 415), once=True),
    Operation("POST", f"{_IN_PRACTICE}/objections", api.note_told, Access.OBJECTIONS,
              "Patients told their doctor no; each counts at once.", forms.ToldAnswer,
              sends=_lines(forms.ToldAll), refuses=(409, 413, 415), once=True),
    Operation("POST", f"{_IN_PRACTICE}/permits", api.issue_permit, Access.PERMITS,
              "A new permit: who may be extracted now.", {"application/zip": BYTES}, refuses=(409, 503)),
    Operation("POST", f"{_IN_PRACTICE}/extractions", api.announce, Access.EXTRACTIONS,
              "Announce an extraction by its signed statement.", forms.ArrivingAnswer, sends=forms.Announced,
              status=201, refuses=(409, 413, 415)),
    Operation("GET", f"{_IN_PRACTICE}/extractions/{{extraction}}", api.arriving, Access.EXTRACTIONS,
              "How much has arrived.", forms.ArrivingAnswer, params=_EXTRACTION, refuses=(409,)),
    Operation("PUT", f"{_IN_PRACTICE}/extractions/{{extraction}}/files/{{file}}", api.append, Access.EXTRACTIONS,
              "The next part of a file, where it was cut off.", forms.ArrivingAnswer,
              sends={"application/octet-stream": BYTES}, query=forms.PartQuery,
              params={**_EXTRACTION, "file": {"type": "string", "maxLength": 100}}, refuses=(409, 413, 415)),
    Operation("POST", f"{_IN_PRACTICE}/extractions/{{extraction}}/receive", api.take_in, Access.EXTRACTIONS,
              "Everything was sent: decide again, and store.", forms.ReceivedAnswer, params=_EXTRACTION,
              refuses=(409, 503)),
    Operation("POST", f"{_IN_PRACTICE}/check", api.check_list, Access.CHECK,
              "Of these patients, those whose data may be used, and until when.", forms.CheckAnswer,
              sends=forms.Check, refuses=(409, 413, 415)),
    Operation("GET", f"{_IN_PRACTICE}/changes", api.changes, Access.PATIENTS,
              "Whom to look at again, since the last time.", forms.ChangesAnswer, query=forms.ChangesQuery),
)  # fmt: skip


def models() -> list[type[BaseModel]]:
    """Every model that the table names, each once."""
    found: dict[type[BaseModel], None] = {forms.Problem: None, forms.TokenRefused: None}
    for operation in OPERATIONS:
        for part in (operation.sends, operation.gives):
            named = part.values() if isinstance(part, dict) else [part]
            found.update(dict.fromkeys(each for each in named if isinstance(each, type)))
    return list(found)


@cache
def description() -> dict[str, Any]:
    """The interface as an OpenAPI 3.1 document."""
    _, defined = models_json_schema(
        [(model, _mode(model)) for model in models()], ref_template="#/components/schemas/{model}"
    )
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Observatory Portal, for practice software",
            "version": "1",
            "description": "Sign in as SMART backend services do: a signed assertion for a token of five minutes. "
            "A program acts for a practice once a doctor there has let it.",
        },
        "paths": paths,
        "components": {
            "schemas": defined["$defs"],
            "securitySchemes": {
                "token": {
                    "type": "oauth2",
                    "flows": {
                        "clientCredentials": {
                            "tokenUrl": "/api/v1/token",
                            "scopes": {each.value: each.name.lower() for each in Access},
                        }
                    },
                }
            },
        },
    }


def _mode(model: type[BaseModel]) -> Any:
    return "validation" if issubclass(model, forms.Form) else "serialization"


def _described(operation: Operation) -> dict[str, Any]:
    refuses = {401, 403, 404, 422, 429, *operation.refuses} if operation.access else {413}
    answers: dict[str, Any] = {
        str(operation.status): {"description": "Done.", "content": _content(operation.gives)},
        **{str(code): {"description": SAYS[code], "content": _problem()} for code in sorted(refuses)},
    }
    if operation.access is None:
        for code in (400, 401):
            answers[str(code)] = {"description": SAYS[code], "content": _content(forms.TokenRefused)}
    made: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": operation.answers.__name__,
        "parameters": _parameters(operation),
        "responses": answers,
        "security": [{"token": [operation.access.value]}] if operation.access else [],
    }
    if operation.sends is not None:
        made["requestBody"] = {"required": True, "content": _content(operation.sends)}
    return made


def _problem() -> dict[str, Any]:
    return {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}


def _content(part: type[BaseModel] | dict[str, Any]) -> dict[str, Any]:
    by_type = part if isinstance(part, dict) else {FORMAT: part}
    return {
        name: {"schema": {"$ref": f"#/components/schemas/{what.__name__}"} if isinstance(what, type) else what}
        for name, what in by_type.items()
    }


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if "{practice}" in operation.path:
        found.append({"name": "practice", "in": "path", "required": True, "schema": {"type": "string"}})
    found += [{"name": n, "in": "path", "required": True, "schema": s} for n, s in operation.params.items()]
    if operation.query is not None:
        schema = operation.query.model_json_schema()
        found += [
            {"name": n, "in": "query", "required": n in schema.get("required", ()), "schema": s}
            for n, s in schema["properties"].items()
        ]
    if operation.once:
        key = {"type": "string", "minLength": 8, "maxLength": api.LONGEST_KEY}
        found.append({"name": "Idempotency-Key", "in": "header", "required": False, "schema": key})
    return found


async def openapi(request: Request) -> Response:
    """The description, for everybody."""
    return JSONResponse(description())
