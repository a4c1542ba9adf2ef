"""The steps of a practice's program: the register goes in, a permit comes, the filter runs, what passes is sent.

Killed anywhere, the next run finishes what is still good or begins again. What the portal refuses for good is deleted
here at once: nothing lies about that may not leave any more.
"""

import gzip
import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from portal.gate.columns import records_by_patient
from portal.gate.filtering import filter_extraction
from portal.gate.folders import sha256_of, whole_folder
from portal.gate.register import read_register
from portal.practice.at_hand import Practice, Said, extracted_here, given_up_when_refused, key_here, permit_here
from portal.practice.sending import send
from portal.practice.work_folder import WorkFolder
from portal.rules.refusals import Refused, RefusedFile
from portal.rules.waiting import paris_day

__all__ = ["Practice", "dry_run", "extract", "fetch_permit", "noted", "noting", "run", "send", "send_register"]

KINDS = {
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "ndjson": "application/fhir+ndjson",
    "jsonl": "application/fhir+ndjson",
}
LARGEST_PERMIT = 512 * 2**20
"""Bytes, unpacked."""

SAYS = {
    "not_let_in": "no doctor of this practice lets this program act for it, or the last one has left",
    "G20": "no doctor of this practice has enrolled: there is no permit",
    "G23": "a doctor whose records are in it, or the only one of the practice, is not active any more",
    "invalid_client": "the portal does not accept this program's signature: paste the key of `portal practice keys` at "
    "/doctor/software again, write the new id as `client`, and set this machine's clock",
    "permit_superseded": "another program of this practice has fetched a newer permit meanwhile",
    "permit_signature": "not signed by the key in `portal_key`: compare it with the portal's operator, send nothing",
}
"""What a refusal means for the practice; any other speaks for itself."""


def send_register(p: Practice) -> Said:
    """The register, unless exactly this file was sent before: one that was written anew says that it is still true."""
    path = p.file.register_file
    if path is None:
        return {"outcome": "not_sent_by_this_program"}
    content, kind, marks = _register(p, path)
    if p.work.sent_register() == marks:
        return {"outcome": "unchanged"}
    taken_at = min(datetime.fromisoformat(str(marks["written_at"])), p.clock.now())
    taken = p.api.put_register(content, kind, taken_at)
    p.work.keep_sent_register(marks)
    return {"outcome": "sent", **taken.model_dump()}


def _register(p: Practice, path: Path) -> tuple[bytes, str, dict[str, object]]:
    """Content, type and marks of the register file, once it was found sound; RefusedFile with every bad place."""
    file = path / "Patient.ndjson" if path.is_dir() else path
    read_register(file, practice_id=p.file.practice, today=paris_day(p.clock.now()))
    name, packed = file.name.lower().removesuffix(".gz"), file.name.lower().endswith(".gz")
    written = datetime.fromtimestamp(file.stat().st_mtime, UTC).replace(microsecond=0)
    marks: dict[str, object] = {"sha256": sha256_of(file), "written_at": written.isoformat()}
    content = gzip.decompress(file.read_bytes()) if packed else file.read_bytes()
    return content, KINDS[name.rpartition(".")[2]], marks


def fetch_permit(p: Practice) -> Said:
    """A new permit; the one that was here is given up, and what was extracted with it."""
    p.work.clear()
    archive = p.api.permit()
    with whole_folder(p.work.permit) as part:
        _unpack(archive, part)
    with given_up_when_refused(p):
        permit = permit_here(p)
    return {"outcome": "fetched", "serial": permit.terms.serial, "until": permit.terms.expires_at.isoformat()}


def _unpack(archive: bytes, folder: Path) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as packed:
            files = {info.filename: info.file_size for info in packed.infolist()}
            if set(files) != {"permit.jws", "allowed.parquet"} or sum(files.values()) > LARGEST_PERMIT:
                raise zipfile.BadZipFile
            for name in files:
                (folder / name).write_bytes(packed.read(name))
    except (zipfile.BadZipFile, zipfile.LargeZipFile, OSError, EOFError, NotImplementedError):
        what = "what came is not a permit's archive: check the address in the configuration"
        raise Refused("portal_answer", what, where="permit", status=502) from None


def extract(p: Practice) -> Said:
    """The filter, with the permit that is here."""
    if extracted_here(p) is not None:
        return {"outcome": "already_extracted"}
    with given_up_when_refused(p):
        permit = permit_here(p)
        counts = filter_extraction(permit, p.file.records, p.work.extraction, practice_key=key_here(p))
    plain = {name: n for name, n in asdict(counts).items() if isinstance(n, int)}
    return {"outcome": "extracted", **plain, **dict(sorted(counts.by_reason.items()))}


def run(p: Practice) -> dict[str, Said]:
    """Everything, in order. What an earlier run left is sent, unless it is good for nothing any more."""
    p.work.clear_halves()
    done: dict[str, Said] = {"register": noted(p, "register", send_register)}
    left_over = extracted_here(p) is not None
    if left_over:
        try:
            done["send"] = noted(p, "send", send)
        except Refused as no:
            if no.status >= 500 or no.status == 429:
                raise
            left_over = False
    if not left_over:
        for step, act in (("permit", fetch_permit), ("extract", extract), ("send", send)):
            done[step] = noted(p, step, act)
    return done


def dry_run(p: Practice) -> Said:
    """Reads and checks what a run would, signs in, and asks the portal about patients whom it has already."""
    register = "not_sent_by_this_program"
    if (path := p.file.register_file) is not None:
        *_, marks = _register(p, path)
        register = "unchanged" if p.work.sent_register() == marks else "would_be_sent"
    found = records_by_patient(p.file.records, p.file.practice)
    known = p.api.known_patients()
    usable = p.api.usable(known)
    return {
        "outcome": "checked",
        "register": register,
        "records": sum(found.values()),
        "patients": len(found),
        "patients_who_pass_now": len(found.keys() & usable),
        "records_of_theirs": sum(n for number, n in found.items() if number in usable),
    }


def noted(p: Practice, step: str, act: Callable[[Practice], Said]) -> Said:
    """The step's outcome, and one line of it in the log."""
    with noting(p.work, step):
        said = act(p)
    p.work.note(step, **said)
    return said


@contextmanager
def noting(work: WorkFolder, step: str) -> Iterator[None]:
    """A refusal gets one line in the log too: its code, and in how many places."""
    try:
        yield
    except RefusedFile as refused:
        work.note(step, outcome="refused", code=refused.code, places=len(refused.problems))
        raise
    except Refused as refused:
        work.note(step, outcome="refused", code=refused.code)
        if refused.code in SAYS:
            raise Refused(refused.code, SAYS[refused.code], where=step, status=refused.status) from None
        raise
    except OSError as error:
        work.note(step, outcome="refused", code="this_machine")
        what = f"{error.strerror or 'a file cannot be read or written'}: mend it on this machine"
        raise Refused("this_machine", what, where=step, status=503) from None
