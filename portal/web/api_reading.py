"""What a program sent, read and checked: each field that is off is named by its place, and no value is repeated."""

from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from portal.rules.refusals import Problem, Refused, RefusedFile
from portal.web.api_forms import MOST_ITEMS

M = TypeVar("M", bound=BaseModel)

JSON = "application/json"
LINES = "application/x-ndjson"


def content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def no_such_type(*wanted: str) -> Refused:
    return Refused("content_type", f"send it as {' or '.join(wanted)}", where="Content-Type", status=415)


async def json_body(request: Request, model: type[M]) -> M:
    """The JSON that was sent, as this model."""
    if content_type(request) != JSON:
        raise no_such_type(JSON)
    return read_model(model, await request.body())


def read_model(model: type[M], content: bytes | str) -> M:
    """The body as this model; RefusedFile that names each field which is off, and never repeats a value."""
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise _off(error, "body") from None
    except UnicodeDecodeError:
        raise RefusedFile([Problem("not_utf8", "body", "the body is not UTF-8")]) from None


def _off(error: ValidationError, where: str) -> RefusedFile:
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return RefusedFile(
        [
            Problem(each["type"], ".".join([where, *_safe(each["loc"], each["type"])]), "this field is off")
            for each in found[:100]
        ]
    )


def _safe(place: Sequence[int | str], kind: str) -> list[str]:
    """Where it is; the name of a field that does not exist is the caller's own text, and is not repeated."""
    return [str(part) for part in (place[:-1] if kind == "extra_forbidden" else place)]


def query(request: Request, model: type[M]) -> M:
    """What stands after the question mark, as this model; each name once."""
    given = request.query_params.multi_items()
    if len(dict(given)) != len(given):
        raise Refused("twice", "a name stands twice after the question mark", where="query", status=422)
    try:
        return model.model_validate_strings(dict(given))
    except ValidationError as error:
        raise _off(error, "query") from None


async def items(request: Request, whole: type[M], item: type[BaseModel]) -> M:
    """A list as one JSON object, or one item a line."""
    body = await request.body()
    if content_type(request) == JSON:
        return read_model(whole, body)
    if content_type(request) != LINES:
        raise no_such_type(JSON, LINES)
    lines = [line for line in body.split(b"\n") if line.strip()]
    if not 0 < len(lines) <= MOST_ITEMS:
        raise Refused("items", f"send 1 to {MOST_ITEMS} lines", where="body", status=422)
    return whole.model_validate({"items": [_line(item, n, line) for n, line in enumerate(lines, 1)]})


def _line(item: type[BaseModel], number: int, line: bytes) -> BaseModel:
    try:
        return item.model_validate_json(line)
    except ValidationError as error:
        raise _off(error, f"line {number}") from None
