"""Take the README's pictures again: `.venv/bin/python tests/browser/pictures.py [FOLDER]`, after `make demo ONCE=1`.

FOLDER holds a played demo (var/demo). What is shown is the demo as it was left: nothing is answered or changed.
"""

import shutil
import struct
import sys
import tempfile
import zlib
from base64 import b64decode, b64encode
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright
from served import Site, serve

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
HEAVIEST = 150_000  # bytes
SIGNATURE = b"\x89PNG\r\n\x1a\n"
PIXELS = """async picture => {
  const image = await createImageBitmap(await (await fetch('data:image/png;base64,' + picture)).blob());
  const {width, height} = image, canvas = new OffscreenCanvas(width, height).getContext('2d');
  canvas.drawImage(image, 0, 0);
  const pixels = canvas.getImageData(0, 0, width, height).data, rows = new Uint8Array(height * (1 + 3 * width));
  for (let y = 0, to = 0; y < height; y++) {
    to++;
    for (let x = 0; x < width; x++) for (let c = 0; c < 3; c++) rows[to++] = pixels[4 * (y * width + x) + c];
  }
  return [width, height, btoa(Array.from(rows, b => String.fromCharCode(b)).join(''))];
}"""


def take(browser: Browser, site: Site) -> None:
    """On a phone and on a wide screen what a patient sees first; the first page's funnel; a doctor's dashboard."""
    notice = f"/o/{site.unanswered().token}"
    for name, width, height, scale in (("patient-page", 375, 656, 1.6), ("patient-page-wide", 1280, 800, 1)):
        page = tab(browser, site, width, height, scale)
        page.goto(notice)
        keep(name, lighter(browser, page.screenshot()))
    page = tab(browser, site, 820, 800, 1)
    page.goto("/")
    keep("funnel", lighter(browser, with_margin(page, "#funnel ~ figure")))
    page = tab(browser, site, 720, 800, 1)
    site.sign_in(page, "doctor", site.doctor("full"))
    keep("doctor", lighter(browser, page.screenshot(full_page=True)))


def tab(browser: Browser, site: Site, width: int, height: int, scale: float) -> Page:
    context = browser.new_context(
        base_url=site.base,
        locale="fr-FR",
        reduced_motion="reduce",
        viewport={"width": width, "height": height},
        device_scale_factor=scale,
    )
    return context.new_page()


def with_margin(page: Page, shape: str) -> bytes:
    box = page.locator(shape).bounding_box()
    assert box is not None
    clip = {"x": 0, "y": box["y"] - 12, "width": box["width"] + 2 * box["x"], "height": box["height"] + 24}
    return page.screenshot(clip=clip, full_page=True)


def lighter(browser: Browser, picture: bytes) -> bytes:
    """The same pixels as a PNG without row filters, which suit text badly: a quarter less."""
    page = browser.new_page()
    width, height, rows = page.evaluate(PIXELS, b64encode(picture).decode())
    page.close()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(b64decode(rows), 9)), (b"IEND", b""))
    return SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )


def keep(name: str, picture: bytes) -> None:
    if len(picture) > HEAVIEST:
        raise ValueError(f"{name} weighs {len(picture)} bytes, {HEAVIEST} are allowed")
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / f"{name}.png").write_bytes(picture)
    print(f"docs/pictures/{name}.png  {len(picture) // 1000} kB")


def main(played: Path) -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        shutil.copytree(played, Path(folder) / "demo")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        for site in serve(Path(folder) / "demo"):
            take(browser, site)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "var/demo"))
