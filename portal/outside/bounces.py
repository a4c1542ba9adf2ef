"""What a message says that came to the returns address: given up, still being tried, or that the notice arrived.

Delivery reports are read by their fields (RFC 3464, RFC 6533), older forms by their words. Whom they are about is in
the address they came to, so no address is looked for. Only what is understood leaves a notice open: a delay, a
delivery, the answer of somebody's mailbox or of a person. Everything else closes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, message_from_string
from email.errors import MessageError
from email.header import Header, decode_header
from email.message import Message
from email.parser import BytesHeaderParser
from enum import StrEnum

LONGEST_WORDS = 4_000
"""Characters of a report in words that are read: what follows is the notice itself, quoted."""


class Kind(StrEnum):
    FAILED = "failed"  # given up: it was not delivered
    DELAYED = "delayed"  # still being tried
    UNRECOGNISED = "unrecognised"  # in no known form: somebody should look


@dataclass(frozen=True, slots=True)
class Report:
    """`permanent`: the address itself is bad. FAILED without it: not delivered, may be sent again."""

    message: Message
    permanent: bool
    kind: Kind


_DELIVERED = (False, None)
_Verdict = tuple[bool, Kind | None]


_UNREADABLE = (MessageError, LookupError, ValueError, RecursionError)
"""What the standard library raises on messages that break its rules: one of them must not stop a whole reading."""


def read_report(content: bytes) -> Report | None:
    """What a message says about a delivery. None: the notice arrived, or a person wrote."""
    try:
        message = message_from_bytes(content)
        permanent, kind = _in_fields(message) or _in_words(message)
    except _UNREADABLE:
        return Report(BytesHeaderParser().parsebytes(content), False, Kind.UNRECOGNISED)
    return Report(message, permanent, kind) if kind else None


# --- reports with fields -------------------------------------------------------------------------------------------

_STATUS = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
_REPLY = re.compile(r"\b([245])[0-7]\d\b(?=[\s-])")


def _in_fields(message: Message) -> _Verdict | None:
    """The worst of what is said about any recipient. None: no field says anything."""
    verdicts = [v for part in message.walk() for block in _status_blocks(part) if (v := _verdict(block)) is not None]
    return max(verdicts, key=lambda v: (v[1] is Kind.FAILED, v[1] is Kind.DELAYED, v[0]), default=None)


def _status_blocks(part: Message) -> list[Message]:
    """The groups of fields of a delivery status, in either of its two media types, in any encoding."""
    if part.get_content_type() not in ("message/delivery-status", "message/global-delivery-status"):
        return []
    return [message_from_string(group) for group in re.split(r"(?:\r?\n[ \t]*){2,}", _content(part))]


def _content(part: Message) -> str:
    """The text of a part that the parser may have taken for messages."""
    payload = part.get_payload()
    inner = payload if isinstance(payload, list) else [payload]
    text = "\n\n".join(each.as_string() if isinstance(each, Message) else str(each) for each in inner)
    return decoded(text.strip(), str(part.get("Content-Transfer-Encoding", "")))


def decoded(text: str, encoding: str) -> str:
    """A part's text out of its transfer encoding."""
    carrier = Message()
    carrier["Content-Transfer-Encoding"] = encoding
    carrier.set_payload(text)
    content = carrier.get_payload(decode=True)
    return content.decode("utf-8", "replace") if isinstance(content, bytes) else ""


def _verdict(block: Message) -> _Verdict | None:
    """Of one recipient's fields. The Status decides what is permanent; the Action, whether it was given up."""
    action = str(block.get("Action", "")).strip().lower()
    status = str(block.get("Status", ""))
    if not (action or status):
        return None
    found = _STATUS.search(status) or _REPLY.search(f"{block.get('Diagnostic-Code', '')} ")
    first = found[1] if found else ""
    if action in ("delivered", "relayed", "expanded") or (not action and first == "2"):
        return _DELIVERED
    kind = Kind.DELAYED if action == "delayed" or (not action and first == "4") else Kind.FAILED
    return first == "5" and kind is Kind.FAILED, kind


# --- reports in words ----------------------------------------------------------------------------------------------


def _any(*words: str) -> re.Pattern[str]:
    return re.compile("|".join(words), re.IGNORECASE | re.MULTILINE)


_SYSTEM = _any(
    r"mailer.?daemon", r"post.?master", r"mail.?(delivery|admin)", r"mdaemon", r"administrat", r"subsystem",
    r"daemon@", r"bounce", r"\b(ndr|dsn|imss)@", r"anti.?(virus|spam)", r"<>",
)  # fmt: skip
_SYSTEM_SUBJECT = _any(
    r"deliver", r"returned", r"failure", r"\bfailed", r"mail error", r"rejected", r"blocked", r"quarantin", r"warning",
    r"non remis", r"non distribu", r"échec", r"retourné", r"rejeté", r"refusé", r"bloqué",
)  # fmt: skip
_AUTOMATIC_SUBJECT = _any(
    r"^auto(matic)?([- ]?(reply|response))?\s*:", r"out of (the )?office", r"\bo+oo?\b:", r"vacation", r"on leave",
    r"réponse automatique", r"\babsen(t|ce)", r"cong[ée]s?\b", r"automatische antwort", r"abwesen",
)  # fmt: skip
_NOT_READ = _any(
    r"confirm", r"verif", r"authenti", r"captcha", r"challenge", r"whitelist", r"liste blanche", r"approv",
    r"no longer", r"n[’']est plus", r"n[’']existe plus", r"ne (sera|seront) (pas|plus)", r"has left", r"a quitté",
    r"not (been )?(delivered|received|accepted|monitored)", r"pas (été )?(remis|distribué|délivré|lu|relevé)",
    r"en attente", r"held|pending|quarantin",
)  # fmt: skip
_STILL_TRIED = _any(
    r"(will|shall) (be )?(re-?)?(tr(y|ied)|retr(y|ied)|keep trying|continue)", r"attempts will continue",
    r"need to resend", r"still being (re)?tried", r"continu\w+ (to try|trying|d[’']essayer|ses tentatives)",
    r"not yet been delivered", r"retry for", r"has been delayed", r"delivery is delayed", r"pas encore (pu|été)",
    r"nouvelles? tentatives?", r"sera (renvoyé|retenté)",
)  # fmt: skip
_GIVEN_UP = _any(
    r"(error|failure|fail(ed)?) permanent", r"permanent(ly)? (fatal |delivery )?(error|fail|reject|undeliver)",
    r"(have|has|[’']ve|is|am|was) giv(en|ing) up", r"will not (be )?(re-?)?tr(y|ied)", r"could not be delivered",
    r"unable to deliver", r"n[’']a pas pu être", r"\b5\d\d[ -]", r"\b5\.\d{1,3}\.\d",
)  # fmt: skip
_GIVEN_UP_SUBJECT = _any(r"fail", r"undeliver", r"returned", r"non remis", r"non distribu", r"échec")
_NO_SUCH_ADDRESS = _any(
    r"unknown (user|recipient|address)", r"(user|recipient|account|address)( is)? (unknown|invalid)",
    r"no such (user|recipient|mailbox|person|address)", r"(doesn[’']t|does not|not) exist", r"n[’']existe pas",
    r"(no|not a valid|invalid) (mailbox|recipient|account)", r"not listed in", r"not found", r"inconnue?\b",
    r"doesn[’']t have (a|an) .{1,40}account", r"non recensé",
)  # fmt: skip
_FAILED_WORDS = _any(
    r"undeliver", r"(not|never|n[’']t) (be |been |able to |reach )*(deliver|reach|complet)", r"deliver\w* .{0,40}fail",
    r"fail\w* .{0,40}deliver", r"rejected", r"refused", r"over quota|quota exceeded|exceeded .{0,30}quota",
    r"mailbox .{0,20}full", r"non remis", r"non distribu", r"pas pu être", r"refusé", r"rejeté", r"pleine",
    r"returned (mail|to sender)", r"failure notice", r"error",
)  # fmt: skip
_QUOTED = _any(
    r"^ *(received|return-path|dkim-signature|message-id):", r"^[-=*_ ]{0,80}below this line",
    r"^.{0,30}copy of (the|your)", r"^[-=*_ ]{2,80}.{0,80}(original|returned|header|unsent|follows)",
    r"^.{0,30}original message (follows|headers)",
)  # fmt: skip


def _in_words(message: Message) -> _Verdict:
    subject, said = _plain(message.get("Subject")), _said(message)
    if _arrived(message, subject, said):
        return _DELIVERED
    words = f"{subject}\n{said}"
    if _STILL_TRIED.search(words) and not (_GIVEN_UP.search(words) or _GIVEN_UP_SUBJECT.search(subject)):
        return False, Kind.DELAYED
    code = _STATUS.search(said) or _REPLY.search(said)
    if code is None and not _NO_SUCH_ADDRESS.search(words):
        known = "X-Failed-Recipients" in message or _FAILED_WORDS.search(words)
        return False, Kind.FAILED if known else Kind.UNRECOGNISED
    return code is None or code[1] == "5", Kind.FAILED


def _arrived(message: Message, subject: str, said: str) -> bool:
    """Whether this shows that somebody's mailbox took the notice: a receipt, a complaint, her mailbox's answer, or
    her own. What a mail system sends, or an automatic answer that asks or denies something, shows nothing of it."""
    if _receipt(message):
        return True
    origin = _plain(message.get("From"))
    reports = message.get_content_type() == "multipart/report" or "X-Failed-Recipients" in message
    if reports or not origin or _SYSTEM.search(origin):
        return False
    return_path = str(message.get("Return-Path", "")).strip()
    marked = str(message.get("Auto-Submitted", "no")).strip().lower().startswith("auto-replied")
    if marked or "X-Autoreply" in message or _AUTOMATIC_SUBJECT.search(subject):
        return not _NOT_READ.search(f"{subject}\n{said}")
    from_somebody = bool(return_path) and not _SYSTEM.search(return_path) and "Auto-Submitted" not in message
    return from_somebody and not _SYSTEM_SUBJECT.search(subject)


_RECEIPTS = {
    "message/disposition-notification": ("disposition", _any(r";\s*displayed")),  # `deleted`: also by a full mailbox
    "message/feedback-report": ("feedback-type", _any(r"abuse|fraud|not-spam|opt-out")),
}


def _receipt(message: Message) -> bool:
    """A reader's receipt (RFC 8098), or her provider's word that she called it unwanted (RFC 5965)."""
    for part in message.walk():
        if kind := _RECEIPTS.get(part.get_content_type()):
            fields = message_from_string(_content(part))
            if kind[1].search(str(fields.get(kind[0], ""))):
                return True
    return False


def _said(message: Message) -> str:
    """What the system says itself, without the notice that it quotes."""
    text = re.sub(r"(?m)^>.*$", "", "\n".join(_texts(message))[:LONGEST_WORDS])
    quoted = _QUOTED.search(text)
    return text[: quoted.start()] if quoted else text


def _texts(message: Message) -> Iterator[str]:
    for part in message.walk():
        kind = part.get_content_type()
        if kind in ("message/rfc822", "text/rfc822-headers"):
            return
        if part.get_content_maintype() == "text":
            content = part.get_payload(decode=True)
            text = content.decode("utf-8", "replace") if isinstance(content, bytes) else ""
            yield re.sub(r"<[^<>]*>", " ", text) if kind == "text/html" else text


def _plain(header: Header | str | None) -> str:
    """A header's words out of their encoding; what cannot be read in it is marked, not lost."""
    words = []
    for piece, charset in decode_header(header[:LONGEST_WORDS] if isinstance(header, str) else header or ""):
        content = piece.encode("ascii", "replace") if isinstance(piece, str) else piece
        try:
            words.append(content.decode(charset or "utf-8", "replace"))
        except LookupError:  # a charset that nobody knows, or bytes without any
            words.append(content.decode("utf-8", "replace"))
    return "".join(words)
