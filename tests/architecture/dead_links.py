"""Checks that every relative link of the documents leads to a file, and every #anchor to a heading. Exit 1 if not."""

import re
import sys
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).parents[2]

_CODE = re.compile(r"^(```|~~~).*?^\1[^\n]*$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(
    r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|^\[[^\]]+\]:\s*(\S+)|(?:src|href)=\"([^\"]+)\"", re.MULTILINE
)
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)


def documents(root: Path) -> list[Path]:
    found = [root / "README.md", root / "CHANGELOG.md", *(root / "docs").rglob("*.md")]
    return sorted(path for path in found if path.is_file())


def anchors(document: Path) -> set[str]:
    """The anchors that a heading gets where the documents are read."""
    text = _CODE.sub("", document.read_text(encoding="utf-8"))
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(text))
    return {word.replace(" ", "-") for word in words}


def dead_links(document: Path, root: Path) -> list[str]:
    """`file: link` for each link of a document that leads nowhere, or out of the repository."""
    text = _CODE.sub("", document.read_text(encoding="utf-8"))
    dead = []
    for link in ("".join(groups) for groups in _LINK.findall(text)):
        if _ELSEWHERE.match(link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (document.parent / path).resolve() if path else document.resolve()
        there = target.exists() and target.is_relative_to(root.resolve())
        if not there or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            dead.append(f"{document.relative_to(root)}: {link}")
    return dead


def main() -> int:
    dead = [link for document in documents(ROOT) for link in dead_links(document, ROOT)]
    for link in dead:
        print(f"dead link in {link}", file=sys.stderr)
    return 1 if dead else 0


if __name__ == "__main__":
    sys.exit(main())
