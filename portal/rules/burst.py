"""Notices that a program says were handed out: so many at once that no one at a practice can have done it."""

AN_HOUR = 60
"""One a minute, for an hour, beside the consultations. A figure of ours; the doctor confirms each one anyway."""


def is_burst(reported_within_an_hour: int) -> bool:
    return reported_within_an_hour > AN_HOUR
