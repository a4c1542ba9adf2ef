"""What programs send and what they are answered: one model each, from which the description is made too."""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

MOST_ITEMS = 1000
MOST_CHECKED = 10_000


def _no_null(text: str) -> str:
    if "\0" in text:
        raise ValueError("a text holds no NUL")
    return text


Number = Annotated[
    str,
    StringConstraints(min_length=1, max_length=80),
    AfterValidator(_no_null),
    Field(description="The practice's own number of the patient."),
]


class Form(BaseModel):
    """Nothing is coerced, and no field is passed over in silence."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Problem(BaseModel):
    """What is wrong (RFC 9457). `problems` names each place; the refused value is never repeated."""

    type: str = Field(description="Always about:blank; `code` tells one refusal from another.")
    title: str
    status: int
    code: str
    detail: str
    problems: list["Place"] = []


class Place(BaseModel):
    where: str
    code: str
    what: str


class TokenAnswer(BaseModel):
    access_token: str
    token_type: Literal["bearer"]
    expires_in: int
    scope: str


class TokenRefused(BaseModel):
    error: Literal["invalid_request", "invalid_client", "unsupported_grant_type", "invalid_scope"]
    error_description: str


class RegisterAnswer(BaseModel):
    """In patients."""

    rows: int
    new: int
    changed: int
    left: int
    doubts: int


class HandOut(Form):
    patient_id: Number
    rank: Annotated[int, Field(ge=0, le=9, description="0 for the patient, else the holder of authority.")] = 0


class HandOuts(Form):
    items: Annotated[list[HandOut], Field(min_length=1, max_length=MOST_ITEMS)]


class Reported(BaseModel):
    patient_id: str
    notice: str


class NotDone(BaseModel):
    """One item that was not acted on."""

    item: int = Field(description="Its place in what was sent, from 0.")
    code: str
    what: str


class HandOutsAnswer(BaseModel):
    """Nothing counts until a doctor of the practice has confirmed it. `flagged`: so many that somebody looks at it."""

    reported: list[Reported]
    not_done: list[NotDone]
    flagged: bool


class Told(Form):
    """`said_on`: the day on which the patient said no, today if absent; a day ahead is today."""

    patient_id: Number
    said_on: date | None = None


class ToldAll(Form):
    items: Annotated[list[Told], Field(min_length=1, max_length=MOST_ITEMS)]


class Noted(BaseModel):
    patient_id: str
    reference: str


class ToldAnswer(BaseModel):
    """Each counts at once, for everything."""

    noted: list[Noted]
    not_done: list[NotDone]


class Announced(Form):
    statement: Annotated[str, StringConstraints(min_length=1, max_length=4_000_000, pattern=r"^[A-Za-z0-9._-]+$")]


class ArrivingAnswer(BaseModel):
    """`received`: the bytes that have arrived, by file; go on from there."""

    extraction: str
    received: dict[str, int]


class ReceivedAnswer(BaseModel):
    """`dropped`: persons who passed when the permit was made and no longer do."""

    rows: int
    persons: int
    dropped: int


class Check(Form):
    patients: Annotated[list[Number], Field(min_length=1, max_length=MOST_CHECKED)]
    study: Annotated[
        str | None,
        StringConstraints(min_length=1, max_length=80),
        Field(description="Absent: may they leave the practice for the observatory?"),
    ] = None


class Usable(BaseModel):
    patient_id: str
    until: datetime


class CheckAnswer(BaseModel):
    """Only those who may be used. An answer is not to be used after `until`, nor anybody after her own."""

    decided_at: datetime
    until: datetime
    usable: list[Usable]


class Patient(BaseModel):
    """`out` mixes everybody who does not take part, whatever the reason."""

    patient_id: str
    state: Literal["informed", "waiting", "not_reachable", "out"]


class PatientsAnswer(BaseModel):
    """`next`: what to send as `after` for the following ones; null at the end."""

    patients: list[Patient]
    next: str | None


class ChangeAnswer(BaseModel):
    at: datetime
    about: Literal["patients", "practice", "everybody"]
    patients: list[str]


class ChangesAnswer(BaseModel):
    """`next`: what to send as `since` then; `more`: there is more now."""

    changes: list[ChangeAnswer]
    next: int
    more: bool


class RegisterQuery(BaseModel):
    """`taken_at`: when the software wrote the register; now if absent. `partial`: nobody who is missing has left."""

    model_config = ConfigDict(extra="forbid")

    taken_at: AwareDatetime | None = None
    partial: bool = False


class PatientsQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    after: Annotated[str, StringConstraints(max_length=80), AfterValidator(_no_null)] = ""
    limit: Annotated[int, Field(ge=1, le=1000)] = 200


class ChangesQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    since: Annotated[int, Field(ge=0, le=2**62)] = 0


class PartQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    offset: Annotated[int, Field(ge=0, le=2**40)]
