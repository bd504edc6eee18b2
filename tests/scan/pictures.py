"""Small documents made on the spot."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import zxingcpp
from PIL import Image, ImageDraw, ImageFont, TiffImagePlugin


def fax(pages: int = 1, **tags: Any) -> bytes:
    """A group-4 TIFF as fax servers write it; `tags` by name of TiffImagePlugin."""
    first, *others = [Image.new("1", (1728, 100 + number), 1) for number in range(pages)]
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for name, value in tags.items():
        info[getattr(TiffImagePlugin, name.upper())] = value
    out = io.BytesIO()
    first.save(
        out,
        "TIFF",
        compression="group4",
        save_all=True,
        append_images=others,
        tiffinfo=info,
        resolution_unit=2,
        x_resolution=204,
        y_resolution=196,
    )
    return out.getvalue()


def jpeg(width: int = 64, height: int = 64) -> bytes:
    out = io.BytesIO()
    Image.effect_noise((width, height), 40).save(out, "JPEG", dpi=(200, 200))
    return out.getvalue()


def png(width: int = 32, height: int = 32) -> bytes:
    out = io.BytesIO()
    Image.new("L", (width, height), 200).save(out, "PNG")
    return out.getvalue()


def pdf(pages: int = 1) -> bytes:
    first, *others = [Image.new("L", (100, 100), 255) for _ in range(pages)]
    out = io.BytesIO()
    first.save(out, "PDF", save_all=True, append_images=others)
    return out.getvalue()


def tiff_chain(links: list[int], entries: int = 1) -> bytes:
    """A TIFF of nothing but directories; directory i is followed by directory `links[i]`, -1 ends the chain."""
    size = 2 + entries * 12 + 4
    where = [8 + index * size for index in range(len(links))]
    data = struct.pack("<2sHI", b"II", 42, where[0] if where else 0)
    for link in links:
        data += struct.pack("<H", entries) + struct.pack("<HHII", 256, 4, 1, 7) * entries
        data += struct.pack("<I", 0 if link < 0 else where[link])
    return data


def png_header(width: int, height: int) -> bytes:
    """A picture that announces its size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 1_000)) + chunk(b"IEND", b"")


def pdf_bomb(mib: int) -> bytes:
    """One page whose content is packed twice: some kilobytes that unfold to `mib` MiB."""
    packer = zlib.compressobj(1)
    once = b"".join(packer.compress(bytes(1 << 20)) for _ in range(mib)) + packer.flush()
    twice = zlib.compress(once, 9)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>",
        b"<</Length %d/Filter[/FlateDecode/FlateDecode]>>stream\n%b\nendstream" % (len(twice), twice),
    ]
    data, table = b"%PDF-1.5\n", b"0000000000 65535 f \n"
    for number, content in enumerate(objects, 1):
        table += b"%010d 00000 n \n" % len(data)
        data += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    trailer = b"trailer<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % len(data)
    return data + b"xref\n0 5\n" + table + trailer


def with_code(said: str) -> bytes:
    code = zxingcpp.create_barcode(said, zxingcpp.BarcodeFormat.QRCode)
    page = Image.new("L", (1_700, 1_100), 255)
    page.paste(Image.fromarray(code.to_image(scale=6)), (500, 300))
    out = io.BytesIO()
    page.convert("1").save(out, "TIFF", compression="group4", dpi=(204, 98))
    return out.getvalue()


def pdf_with_text(text: str) -> bytes:
    stream = f"BT /F1 24 Tf 72 700 Td ({text}) Tj ET".encode()
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    objects = b"".join(b"%d 0 obj%s endobj\n" % (i + 1, part) for i, part in enumerate(parts))
    return b"%PDF-1.4\n" + objects + b"trailer<</Root 1 0 R>>\n%%EOF\n"


def a_letter(text: str) -> bytes:
    """A page of a fax, set in type."""
    page = Image.new("L", (1_728, 1_400), 255)
    ImageDraw.Draw(page).multiline_text((150, 150), text, font=ImageFont.load_default(48), fill=0)
    out = io.BytesIO()
    page.convert("1").save(out, "TIFF", compression="group4", dpi=(204, 196))
    return out.getvalue()
