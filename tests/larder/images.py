"""Pictures of meals: what an upload really is, by its bytes and never by its name.

Law: PNG and JPEG only. SVG is a document that can hold scripts, and is refused whatever it says.
"""

from __future__ import annotations

import hashlib
import struct

from tests.larder.accounts import InvalidField
from tests.larder.models import Image

LARGEST_IMAGE = 1024 * 1024
LARGEST_SIDE = 4000

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"


def read_image(data: bytes) -> Image:
    """Return what to store of an upload; raise InvalidField when it is no picture for a shop."""
    if len(data) > LARGEST_IMAGE:
        raise InvalidField("image", "Choose a picture of at most 1 MB.")
    size: tuple[int, int] | None = None
    if data.startswith(_PNG):
        media_type, size = "image/png", _png_size(data)
    elif data.startswith(_JPEG):
        media_type, size = "image/jpeg", _jpeg_size(data)
    if size is None:
        raise InvalidField("image", "Choose a PNG or JPEG picture.")
    if not all(1 <= side <= LARGEST_SIDE for side in size):
        raise InvalidField("image", f"Choose a picture of at most {LARGEST_SIDE} pixels a side.")
    return Image(digest=hashlib.sha256(data).hexdigest(), media_type=media_type, data=data)


def _png_size(data: bytes) -> tuple[int, int] | None:
    if data[12:16] != b"IHDR" or len(data) < 24 or b"IEND" not in data[-12:]:
        return None
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        # C4, C8 and CC lie among the markers that begin a frame, and begin none.
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + max(2, length)
    return None
