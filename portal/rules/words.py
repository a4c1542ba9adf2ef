"""The closed words of the mission. Each stands once; the database checks columns against them."""

from enum import StrEnum


class Crossing(StrEnum):
    """The two lines that the gate guards."""

    EXTRACTION = "extraction"
    RELEASE = "release"


class Role(StrEnum):
    """Who may be looking (DOMAIN §2). A patient has no account and no role."""

    DOCTOR = "doctor"
    OPERATOR = "operator"
    DPO = "dpo"
    RECIPIENT = "recipient"
    AUDITOR = "auditor"


class EnrolmentState(StrEnum):
    """Steps of a doctor's enrolment at one practice (DOMAIN §3). Only ACTIVE lets anything pass."""

    IDENTIFIED = "identified"
    SIGNED = "signed"
    ACTIVE = "active"
    PAUSED = "paused"
    LEFT = "left"
    SUSPENDED = "suspended"


class Provenance(StrEnum):
    """How an item came into the doctor's record."""

    ENTERED = "entered"
    IMPORTED = "imported"
    TELESERVICE_AUTO = "teleservice_auto"
    UNKNOWN = "unknown"


class Scope(StrEnum):
    """What an objection covers: everything ⊇ one observatory ⊇ one study; or one practice as a source."""

    EVERYTHING = "everything"
    OBSERVATORY = "observatory"
    STUDY = "study"
    PRACTICE = "practice"


class Reader(StrEnum):
    """For whom a notice text is written."""

    ADULT = "adult"
    TEENAGER = "teenager"
    CHILD = "child"
    EASY = "easy"


class Language(StrEnum):
    FR = "fr"
    EN = "en"


class Addressee(StrEnum):
    """To whom a notice goes. It counts only while this is still the right one (G54)."""

    SELF = "self"
    PARENT = "parent"
    GUARDIAN = "guardian"
    MANDATE = "mandate"


class Unreachable(StrEnum):
    """Why a holder of authority cannot be told; the portal keeps no more than this word."""

    UNKNOWN_ADDRESS = "unknown_address"
    NO_CONTACT = "no_contact"
    ABROAD = "abroad"
    INCAPACITATED = "incapacitated"
    COURT_ORDER = "court_order"


class NoticeChannel(StrEnum):
    EMAIL = "email"
    HAND = "hand"


class NoticeState(StrEnum):
    """QUEUED and UNKNOWN are not deliveries; SENT means accepted by the next mail server.

    REPORTED: practice software says that it was handed over; it counts once a doctor has confirmed it.
    """

    QUEUED = "queued"
    SENT = "sent"
    BOUNCED = "bounced"
    RETURNED = "returned"
    REPORTED = "reported"
    HANDED_OVER = "handed_over"
    UNKNOWN = "unknown"


class ObjectionChannel(StrEnum):
    LINK = "link"
    PAPER = "paper"
    PHONE = "phone"
    DOCTOR = "doctor"


class TextState(StrEnum):
    """A notice or agreement text: a draft is loaded, another person approves it, then it never changes."""

    DRAFT = "draft"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"


class ReleaseState(StrEnum):
    PREPARED = "prepared"
    APPROVED = "approved"
    SEALED = "sealed"
    WITHDRAWN = "withdrawn"


class Sex(StrEnum):
    FEMALE = "female"
    MALE = "male"
    OTHER = "other"
    UNKNOWN = "unknown"


class Precision(StrEnum):
    """How finely a column may be released; FULL is the value as it stands (coarsened to its default)."""

    FULL = "full"
    YEAR = "year"
    DECADE = "decade"
    WEEK = "week"
    MONTH = "month"
    CATEGORY = "category"
    CHAPTER = "chapter"
    FIVE = "five"
    UNIT = "unit"


class Purpose(StrEnum):
    """Purposes a study may have. The last two are banned by law (DOMAIN §6, G06)."""

    PUBLIC_HEALTH_RESEARCH = "public_health_research"
    CARE_EVALUATION = "care_evaluation"
    DRUG_SAFETY = "drug_safety"
    HEALTH_PRODUCT_PROMOTION = "health_product_promotion"
    INSURANCE = "insurance"


BANNED_PURPOSES = frozenset({Purpose.HEALTH_PRODUCT_PROMOTION, Purpose.INSURANCE})
