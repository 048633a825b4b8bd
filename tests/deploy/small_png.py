"""Makes a screenshot small: the same picture in 256 colours, as a PNG. Reads what Chromium writes, and nothing else."""

import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOURS = 256
ALIKE = 6**2
"""Colours whose squared distance is no larger become one."""
CHANNELS = {2: 3, 6: 4}  # colour type of the format: RGB, RGBA
Colour = tuple[int, int, int]


def small_png(png: bytes) -> bytes:
    """Return the picture in its commonest colours, each other pixel in the nearest of them."""
    width, height, pixels = _pixels(png)
    counts = Counter(pixels)
    palette = _palette([colour for colour, _ in counts.most_common()])
    index_of = {colour: _nearest(colour, palette) for colour in counts}
    index_of.update({colour: index for index, colour in enumerate(palette)})
    indexes = bytes([index_of[pixel] for pixel in pixels])
    rows = b"".join(b"\0" + indexes[start : start + width] for start in range(0, width * height, width))
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"PLTE", b"".join(map(bytes, palette))),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    return SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _palette(commonest_first: Sequence[Colour]) -> list[Colour]:
    """Return colours that are told apart by the eye: shades of a common one leave room for a rare one."""
    palette = list(commonest_first[:1])
    for colour in commonest_first[1:]:
        if len(palette) < COLOURS and _distance(colour, palette[_nearest(colour, palette)]) > ALIKE:
            palette.append(colour)
    return palette


def _distance(one: Colour, other: Colour) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def _nearest(colour: Colour, palette: Sequence[Colour]) -> int:
    red, green, blue = colour
    distances = [(r - red) ** 2 + (g - green) ** 2 + (b - blue) ** 2 for r, g, b in palette]
    return distances.index(min(distances))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(SIGNATURE)
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += length + 12


def _pixels(png: bytes) -> tuple[int, int, list[Colour]]:
    assert png.startswith(SIGNATURE)
    chunks = list(_chunks(png))
    width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", dict(chunks)[b"IHDR"])
    assert (depth, interlaced) == (8, 0), "as Chromium writes it"
    channels = CHANNELS[kind]
    data = zlib.decompress(b"".join(content for name, content in chunks if name == b"IDAT"))
    before, pixels = bytearray(width * channels), []
    for row in range(height):
        start = row * (width * channels + 1)
        line = bytearray(data[start + 1 : start + 1 + width * channels])
        _unfilter(data[start], line, before, channels)
        pixels += list(zip(line[0::channels], line[1::channels], line[2::channels], strict=True))
        before = line
    return width, height, pixels


def _unfilter(method: int, line: bytearray, above: bytearray, channels: int) -> None:
    """Undo a row's filter in place; the format's numbers: none, left, up, average, and the nearest of three."""
    for at in range(len(line) if method else 0):
        left = line[at - channels] if at >= channels else 0
        up = above[at]
        match method:
            case 1:
                guess = left
            case 2:
                guess = up
            case 3:
                guess = (left + up) // 2
            case _:
                guess = _nearest_of_three(left, up, above[at - channels] if at >= channels else 0)
        line[at] = (line[at] + guess) & 255


def _nearest_of_three(left: int, up: int, corner: int) -> int:
    estimate = left + up - corner
    candidates = (left, up, corner)
    return min(candidates, key=lambda value: abs(estimate - value))
