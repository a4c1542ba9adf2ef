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


class NoticeChannel(StrEnum):
    EMAIL = "email"
    HAND = "hand"


class NoticeState(StrEnum):
    """QUEUED and UNKNOWN are not deliveries; SENT means accepted by the next mail server."""

    QUEUED = "queued"
    SENT = "sent"
    BOUNCED = "bounced"
    RETURNED = "returned"
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


class LegalBasis(StrEnum):
    """On what the processing rests: points (a), (c), (e) and (f) of GDPR article 6(1)."""

    CONSENT = "consent"
    LEGAL_OBLIGATION = "legal_obligation"
    PUBLIC_TASK = "public_task"
    LEGITIMATE_INTERESTS = "legitimate_interests"


class HealthDataBasis(StrEnum):
    """Why health data may be processed at all: points (a), (h), (i) and (j) of GDPR article 9(2)."""

    EXPLICIT_CONSENT = "explicit_consent"
    HEALTH_CARE = "health_care"
    PUBLIC_HEALTH = "public_health"
    RESEARCH = "research"


class DraftState(StrEnum):
    """What a reviewed file says of one object: it waits until a second person approves or refuses it."""

    WAITING = "waiting"
    APPROVED = "approved"
    REFUSED = "refused"
    REPLACED = "replaced"
