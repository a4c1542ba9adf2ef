"""An extraction on its way to the portal: what has not arrived is sent, then it is taken in and deleted here."""

from pathlib import Path

from portal.outside.portal_answers import Arriving, TakenIn, Unreachable
from portal.practice.at_hand import Practice, Said, extracted_here, given_up_when_refused
from portal.rules.refusals import Refused

BREAKS = 5
"""How often in a row the line may break without one more byte arriving."""


def send(p: Practice) -> Said:
    """What was extracted, from where it was cut off; then it is taken in and deleted here."""
    folder = extracted_here(p)
    if folder is None:
        p.work.clear()
        raise Refused("nothing_extracted", "there is no extraction with a permit in force: `portal practice run`")
    with given_up_when_refused(p):
        try:
            extraction, parts, size = _send_parts(p, folder)
            taken = _taken_in(p, folder, extraction)
        except Refused as no:
            if no.code != "already_received":
                raise
            p.work.clear()
            return {"outcome": "already_received"}
    p.work.clear()
    return {"outcome": "received", "parts": parts, "bytes": size, **taken.model_dump()}


def _statement(folder: Path) -> str:
    return (folder / "extraction.jws").read_text(encoding="ascii")


def _send_parts(p: Practice, folder: Path) -> tuple[str, int, int]:
    """Sends what has not arrived; returns the extraction's id, how many parts and how many bytes that was."""
    there = p.api.announce(_statement(folder))
    sizes = {path.name: path.stat().st_size for path in sorted((folder / "records").iterdir())}
    parts = sent = breaks = 0
    while (at := _next(there, sizes)) is not None:
        name, offset = at
        with (folder / "records" / name).open("rb") as file:
            file.seek(offset)
            part = file.read(p.file.part_kib * 1024)
        try:
            there, breaks = p.api.put_part(there.extraction, name, offset, part), 0
            parts, sent = parts + 1, sent + len(part)
        except Unreachable:
            breaks += 1
            if breaks > BREAKS:
                raise
            there = p.api.arriving(there.extraction)
        except Refused as no:
            if no.code != "other_offset" or breaks > BREAKS:
                raise
            breaks += 1
            there = p.api.arriving(there.extraction)
    return there.extraction, parts, sent


def _next(there: Arriving, sizes: dict[str, int]) -> tuple[str, int] | None:
    """The file that is not all there, and where it ends there; Refused when the portal has what was never sent."""
    if set(there.received) != set(sizes) or any(there.received[name] > sizes[name] for name in sizes):
        what = "the portal says that it has something else than this extraction: it begins again"
        raise Refused("other_extraction", what, where="the portal")
    return next(((name, there.received[name]) for name in sizes if there.received[name] < sizes[name]), None)


def _taken_in(p: Practice, folder: Path, extraction: str) -> TakenIn:
    try:
        return p.api.receive(extraction)
    except Refused as no:
        if no.code == "unknown_extraction":  # it was taken in, and the answer got lost
            p.api.announce(_statement(folder))
        raise
