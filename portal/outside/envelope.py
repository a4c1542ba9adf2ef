"""A notice as an e-mail: the same reference, address and moment give the same bytes, and a resent one is a copy."""

import re
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from portal.rules.refusals import Refused

# small letters: a server on the way back may change case
_REFERENCE = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}", re.ASCII)


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
    message = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
    home = _address(sender)
    try:
        message["From"] = home
        message["To"] = _address(recipient)
        message["Subject"] = subject
        message["Date"] = written_at
        message["Message-ID"] = f"<{_checked(reference)}@{home.domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"
        message.set_content(text)
        message.add_alternative(html, subtype="html")
        message["Content-Language"] = language
    except ValueError:
        raise Refused("bad_header", "A mail header holds a line break or cannot be written.") from None
    message.set_boundary(f"=_{reference}")
    return message.as_bytes()


def _checked(reference: str) -> str:
    if not _REFERENCE.fullmatch(reference):
        raise Refused("bad_reference", "A notice's reference is 1 to 40 small letters, digits, dots or hyphens.")
    return reference


def _address(text: str) -> Address:
    try:
        address = Address(addr_spec=text)
    except (ValueError, IndexError, MessageError):
        address = Address()
    if not address.username or not address.domain or not text.isprintable():
        raise Refused("bad_address", "This is no mail address.", status=422)
    return address
