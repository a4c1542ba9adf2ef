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
    """Steps of a doctor's enrolment at one practice (DOMAIN §3). Only ACTIVE lets anything pass; INVITED has no row."""

    INVITED = "invited"
    IDENTIFIED = "identified"
    SIGNED = "signed"
    ACTIVE = "active"
    PAUSED = "paused"
    LEFT = "left"
    SUSPENDED = "suspended"


class Suspended(StrEnum):
    """Why an operator suspends an enrolment: a closed list, as the log holds no free text about anybody."""

    IDENTITY = "identity"
    NOT_IN_EXERCISE = "not_in_exercise"
    NOT_HERE = "not_here"
    AGREEMENT = "agreement"
    INQUIRY = "inquiry"


class InDirectory(StrEnum):
    """What the public directory of health professionals says of a doctor. Anything but FOUND is a warning, no wall."""

    FOUND = "found"
    NOT_FOUND = "not_found"
    OTHER_NAME = "other_name"
    NOT_IN_EXERCISE = "not_in_exercise"
    UNREACHABLE = "unreachable"


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
    POST = "post"
    HAND = "hand"


class NoticeState(StrEnum):
    """QUEUED and UNKNOWN are not deliveries; SENT means accepted by the next mail server, or taken to the post.

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
    FORM = "form"
    SOFTWARE = "software"
    PARTNER = "partner"


class CanaryOutcome(StrEnum):
    """What came of one round of the canary. Anything but WORKED: the path is not known to work."""

    WORKED = "worked"
    UNREACHABLE = "unreachable"
    NO_PAGE = "no_page"
    NO_WAY = "no_way"
    WITHHELD_ANYWAY = "withheld_anyway"
    NOT_RECORDED = "not_recorded"
    NO_RECEIPT = "no_receipt"
    NOT_WITHHELD = "not_withheld"
    NOT_TAKEN_BACK = "not_taken_back"


class ForWhom(StrEnum):
    """For whom somebody says no without a link."""

    SELF = "self"
    CHILD = "child"
    REPRESENTED = "represented"


class ProvisionalOutcome(StrEnum):
    """How an objection without a token was settled. NOT_HERE: none of those looked at; later arrivals are doubted."""

    BOUND = "bound"
    NOT_HERE = "not_here"
    NO_AUTHORITY = "no_authority"


class DoubtReason(StrEnum):
    """Why it is not certain who a patient is."""

    IDENTITY_CHANGED = "identity_changed"
    KEY_CLASH = "key_clash"
    BACK_TO_LIFE = "back_to_life"


class DoubtOutcome(StrEnum):
    """How a doubt was settled: one person, two persons, or a mistake in what came in."""

    SAME = "same"
    APART = "apart"
    WRONG_ENTRY = "wrong_entry"


class RightsKind(StrEnum):
    """The rights that are asked for besides saying no. Access withholds nobody."""

    RESTRICTION = "restriction"
    ERASURE = "erasure"
    RECTIFICATION = "rectification"
    ACCESS = "access"


WITHHOLDING = (RightsKind.RESTRICTION, RightsKind.ERASURE, RightsKind.RECTIFICATION)
"""The rights that withhold a person while they are asked for (G46)."""


class RightsState(StrEnum):
    """OPEN withholds; so do a GRANTED erasure, for good, and a GRANTED restriction, until it is ENDED."""

    OPEN = "open"
    GRANTED = "granted"
    REFUSED = "refused"
    TAKEN_BACK = "taken_back"
    ENDED = "ended"


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


class StorePart(StrEnum):
    """What leaves the observatory's store: a whole file, the records of a doctor, or those of a person."""

    FILE = "file"
    DOCTOR = "doctor"
    PERSON = "person"


class Sex(StrEnum):
    FEMALE = "female"
    MALE = "male"
    OTHER = "other"
    UNKNOWN = "unknown"


class Precision(StrEnum):
    """How finely a column may be released; FULL is the value as it stands (coarsened to its default).

    ABSENT: the column is left out. No study asks for it; it is the last step of a generalisation.
    """

    FULL = "full"
    YEAR = "year"
    DECADE = "decade"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    CATEGORY = "category"
    CHAPTER = "chapter"
    FIVE = "five"
    FIFTEEN = "fifteen"
    UNIT = "unit"
    ABSENT = "absent"


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
