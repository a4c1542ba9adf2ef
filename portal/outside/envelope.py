"""A notice as an e-mail: the same reference, address and moment give the same bytes, and a resent one is a copy.

Written out by hand, as the standard library's message takes ten times as long; the tests read it back with it.
"""

import re
from binascii import b2a_qp
from datetime import datetime
from email.header import Header
from email.utils import format_datetime

from portal.rules.refusals import Refused

# small letters: a server on the way back may change case
_REFERENCE = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}", re.ASCII)
_NAME = re.compile(r"[^\s<>()\[\],;:\\\"@]{1,64}")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII | re.IGNORECASE)


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
) -> bytes:
    """The ready bytes, lines ended as mail servers want them. A header that would break out is refused."""
    home, boundary = _address(sender), f"=_{_checked(reference)}"  # `=_` is never in quoted-printable
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
        "Content-Type": f'multipart/alternative; boundary="{boundary}"',
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
    parts = (b"--%b\r\n%b" % (boundary.encode(), part) for part in (_part("plain", text), _part("html", html)))
    return b"%b\r\n%b--%b--\r\n" % (head, b"".join(parts), boundary.encode())


def _part(kind: str, content: str) -> bytes:
    head = f"Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    lines = re.sub(r"\r\n?|\n", "\r\n", content.rstrip("\r\n") + "\n")
    return head.encode() + b2a_qp(lines.encode(), istext=True) + b"\r\n"


def _checked(reference: str) -> str:
    if not _REFERENCE.fullmatch(reference):
        raise Refused("bad_reference", "A notice's reference is 1 to 40 small letters, digits, dots or hyphens.")
    return reference


def _address(text: str) -> str:
    try:
        return wire_address(text)
    except ValueError:
        raise Refused("bad_address", "This is no mail address.", status=422) from None
