"""From which state to which an enrolment may go, and by which step; docs/enrolment.md draws this table."""

from enum import StrEnum

from portal.rules.refusals import Refused
from portal.rules.words import EnrolmentState as State


class DoctorMailKind(StrEnum):
    """What is mailed to a doctor."""

    INVITATION = "invitation"
    COPY = "copy"
    ACTIVE = "active"


STEPS: tuple[tuple[State, str, State], ...] = (
    (State.INVITED, "site_chosen", State.IDENTIFIED),
    (State.INVITED, "agreement_signed", State.SIGNED),
    (State.IDENTIFIED, "agreement_signed", State.SIGNED),
    (State.SIGNED, "agreement_signed", State.SIGNED),
    (State.SIGNED, "enrolment_verified", State.ACTIVE),
    (State.ACTIVE, "agreement_signed", State.ACTIVE),
    (State.PAUSED, "agreement_signed", State.PAUSED),
    (State.ACTIVE, "doctor_paused", State.PAUSED),
    (State.PAUSED, "doctor_resumed", State.ACTIVE),
    (State.SIGNED, "enrolment_suspended", State.SUSPENDED),
    (State.ACTIVE, "enrolment_suspended", State.SUSPENDED),
    (State.PAUSED, "enrolment_suspended", State.SUSPENDED),
    (State.SUSPENDED, "suspension_lifted", State.SIGNED),
    (State.SUSPENDED, "suspension_lifted", State.ACTIVE),
    (State.SUSPENDED, "suspension_lifted", State.PAUSED),
    (State.IDENTIFIED, "doctor_left", State.LEFT),
    (State.SIGNED, "doctor_left", State.LEFT),
    (State.ACTIVE, "doctor_left", State.LEFT),
    (State.PAUSED, "doctor_left", State.LEFT),
    (State.SUSPENDED, "doctor_left", State.LEFT),
    (State.LEFT, "agreement_signed", State.SIGNED),
)
"""(from, step, to). The step is the kind of its entry in the log. Signing a newer version while active or paused
changes no state: who she is has been verified. A suspension that is lifted leads back to where it came from. Who left
may sign again, and is verified again."""

ALLOWED: dict[State, frozenset[State]] = {
    state: frozenset(to for before, _, to in STEPS if before is state) for state in State
}


def after(state: State, step: str) -> State:
    """Where a step that has one outcome leads; Refused("enrolment_step") when it may not be taken from there."""
    found = [to for before, kind, to in STEPS if (before, kind) == (state, step)]
    if len(found) != 1:
        raise Refused("enrolment_step", f"{step} is no step of an enrolment that is {state}")
    return found[0]


def may(state: State, step: str, to: State) -> None:
    """The same for a step whose outcome is known."""
    if (state, step, to) not in STEPS:
        raise Refused("enrolment_step", f"{step} is no step of an enrolment that is {state}")
