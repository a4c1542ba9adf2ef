"""Paper: a Typst template and data in, a tagged PDF out (PDF/A-2a and PDF/UA-1), in a process of its own.

Typst keeps what it has set in memory, so the process ends with its file. It reads nothing but the folder of the
template, and the data are never pasted into markup.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from portal.rules.refusals import Refused


class Press(Protocol):
    """What sets paper: the name of a template, its data, and the moment that the file carries."""

    async def set(self, template: str, data: Mapping[str, Any], *, at: datetime) -> bytes:
        """The PDF; the same data and moment give the same bytes. Refused("typeset") when it cannot be made."""


class TypstPress:
    """Templates are `NAME.typ` in one folder, their fonts in its folder `fonts`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def set(self, template: str, data: Mapping[str, Any], *, at: datetime) -> bytes:
        path, moment = self._folder / f"{template}.typ", int(at.timestamp())
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "portal.outside.typeset", str(path), str(moment),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        pdf, _ = await process.communicate(json.dumps(data, ensure_ascii=False).encode())
        if process.returncode != 0 or not pdf.startswith(b"%PDF"):
            # what Typst says may quote a name, so it is not passed on
            raise Refused("typeset", f"the PDF {template} could not be made: nothing was printed", status=500)
        return pdf


def _main(template: str, timestamp: str) -> None:
    import typst

    folder = Path(template).parent
    pdf = typst.compile(
        template,
        root=str(folder),
        font_paths=[str(folder / "fonts")],
        ignore_system_fonts=True,
        sys_inputs={"data": sys.stdin.read()},
        pdf_standards=["a-2a", "ua-1"],
        timestamp=int(timestamp),
    )
    sys.stdout.buffer.write(pdf)


if __name__ == "__main__":
    _main(*sys.argv[1:])
