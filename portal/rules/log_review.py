"""What one person does alone with people's data or with power over it: somebody else reads it in the log, by a day."""

from datetime import date, timedelta

TO_REVIEW = frozenset(
    {
        "contact_read",
        "contacts_resealed",
        "doubt_settled",
        "key_forgotten",
        "key_rotated",
        "persons_parted",
        "practice_key_registered",
        "right_answered",
        "staff_added",
        "staff_removed",
        "study_key_deleted",
    }
)
"""Kinds of entries: who opened contacts, said who is who, answered a right, invited or removed staff, changed a key."""

WITHIN = timedelta(days=7)


def due_on(day: date) -> date:
    """By when what was entered on a day is read."""
    return day + WITHIN
