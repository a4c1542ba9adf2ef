"""A PDF as a reader has it: its words, and the codes that a camera or a scanner sees on its pages."""

import pypdfium2
import zxingcpp


def words(pdf: bytes) -> list[str]:
    """The text of each page, in one line."""
    document = pypdfium2.PdfDocument(pdf)
    return [" ".join(page.get_textpage().get_text_bounded().split()) for page in document]


def seen_codes(pdf: bytes, dpi: int = 150) -> list[dict[str, str]]:
    """What stands in the codes of each page, by kind (`QRCode`, `DataMatrix`), as a camera reads them."""
    found = []
    for page in pypdfium2.PdfDocument(pdf):
        picture = page.render(scale=dpi / 72, grayscale=True)
        rows = bytes(picture.buffer)
        gray = b"".join(rows[y * picture.stride : y * picture.stride + picture.width] for y in range(picture.height))
        image = memoryview(gray).cast("B", shape=[picture.height, picture.width])
        found.append({code.format.name: code.text for code in zxingcpp.read_barcodes(image)})
    return found
