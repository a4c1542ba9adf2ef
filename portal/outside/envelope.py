"""A notice as an e-mail: the same reference, address and moment give the same bytes, and a resent one is a copy.

Written out by hand, as the standard library's message takes ten times as long; the tests read it back with it.
"""

import re
from base64 import encodebytes
from binascii import b2a_qp
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime

from portal.rules.refusals import Refused

# small letters: a server on the way back may change case
_REFERENCE = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}", re.ASCII)
_NAME = re.compile(r"[^\s<>()\[\],;:\\\"@]{1,64}")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Attached:
    """A PDF that goes with a message; the name is our own and plain."""

    name: str
    content: bytes


def wire_address(address: str) -> str:
    """The address with its domain in ASCII, as it goes over the wire. Raises ValueError for what is none."""
    name, _, domain = address.rpartition("@")
    domain = domain if domain.isascii() else domain.encode("idna").decode("ascii")
    if not (address.isprintable() and _NAME.fullmatch(name) and _DOMAIN.fullmatch(domain)):
        raise ValueError("no mail address")
    return f"{name}@{domain}"


def return_path(returns_address: str, reference: str) -> str:
    """The envelope's sender: what comes back to it names its notice. `returns_address` holds `{ref}`."""
    return returns_address.format(ref=_checked(reference))


def build_message(
    *,
    reference: str,
    sender: str,
    recipient: str,
    subject: str,
    text: str,
    html: str,
    language: str,
    written_at: datetime,
    attached: Attached | None = None,
) -> bytes:
    """The ready bytes, lines ended as mail servers want them. A header that would break out is refused."""
    home, boundary = _address(sender), f"=_{_checked(reference)}"  # `=_` is never in quoted-printable
    body = _multipart(boundary, _part("plain", text), _part("html", html))
    form = f'multipart/alternative; boundary="{boundary}"'
    if attached is not None:
        body = _multipart(f"=_with_{reference}", _head(form) + body, _file(attached))
        form = f'multipart/mixed; boundary="=_with_{reference}"'
    if not (subject.isprintable() and language.isprintable() and language.isascii()):
        raise Refused("bad_header", "A mail header holds a line break or cannot be written.")
    headers = {
        "From": home,
        "To": _address(recipient),
        "Subject": Header(subject, "utf-8", header_name="Subject").encode(linesep="\r\n"),
        "Date": format_datetime(written_at),
        "Message-ID": f"<{reference}@{home.rpartition('@')[2]}>",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
        "Content-Language": language,
        "MIME-Version": "1.0",
    }
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() + _head(form) + body


def _head(form: str) -> bytes:
    return f"Content-Type: {form}\r\n\r\n".encode()


def _multipart(boundary: str, *parts: bytes) -> bytes:
    line = boundary.encode()
    return b"".join(b"--%b\r\n%b" % (line, part) for part in parts) + b"--%b--\r\n" % line


def _part(kind: str, content: str) -> bytes:
    head = f"Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    lines = re.sub(r"\r\n?|\n", "\r\n", content.rstrip("\r\n") + "\n")
    return head.encode() + b2a_qp(lines.encode(), istext=True) + b"\r\n"


def _file(attached: Attached) -> bytes:
    head = (
        f'Content-Type: application/pdf; name="{attached.name}"\r\nContent-Transfer-Encoding: base64\r\n'
        f'Content-Disposition: attachment; filename="{attached.name}"\r\n\r\n'
    )
    return head.encode() + encodebytes(attached.content).replace(b"\n", b"\r\n")


def _checked(reference: str) -> str:
    if not _REFERENCE.fullmatch(reference):
        raise Refused("bad_reference", "A notice's reference is 1 to 40 small letters, digits, dots or hyphens.")
    return reference


def _address(text: str) -> str:
    try:
        return wire_address(text)
    except ValueError:
        raise Refused("bad_address", "This is no mail address.", status=422) from None
