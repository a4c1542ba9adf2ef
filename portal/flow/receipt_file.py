"""The receipt of an objection as a signed file. Reads only: the same question gives the same file."""

from datetime import UTC, datetime
from typing import Any

from portal.flow.behind_link import Opened
from portal.flow.means import Means
from portal.flow.opt_out import Said
from portal.flow.sequence import proof_if_placed
from portal.gate.receipt import write_receipt

VOCABULARIES = {
    "dct": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
}


async def receipt_file(means: Means, opened: Opened, said: Said) -> bytes:
    """The file of one objection seen through a link; without the proof while its entry has no place in the tree."""
    proof = await proof_if_placed(said.entry_id)
    return write_receipt(terms_of(opened, said), proof, means.ring.signing_key())


def terms_of(opened: Opened, said: Said) -> dict[str, Any]:
    """What the receipt says: of what, when and by which way, about which notice; no name and no reason."""
    return {
        "@context": VOCABULARIES,
        "@type": "dpv:RightExerciseRecord",
        "dct:identifier": str(said.id),
        "dct:created": _utc(said.received_at),
        "dct:description": "An objection (GDPR, article 21). The structure follows ISO/IEC TS 27560; it is no consent.",
        "dpv:hasRight": "eu-gdpr:A21",
        "dpv:hasDataController": opened.observatory["controller"],
        "dpv:hasContact": opened.observatory["dpo_email"],
        "dpv:hasNotice": {
            "dct:identifier": opened.link.text_id,
            "dct:hasVersion": opened.text["version"],
            "dct:language": str(opened.language),
            "sha256": opened.text_sha256,
        },
        "scope": {"kind": str(said.scope), "ref": said.scope_ref},
        "channel": str(said.channel),
        "received_at": _utc(said.received_at),
        "taken_back_at": _utc(said.withdrawn_at) if said.withdrawn_at else None,
        "log_entry": said.entry_id,
    }


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
