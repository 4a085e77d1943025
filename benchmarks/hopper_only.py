"""Empty, in vLLM's CUDA libraries, the device code that bfloat16 on a Hopper GPU does not run: hopper_only.py FILE...

A file keeps its length and layout, and compresses to a fifth. Emptied are: code for other GPUs; PTX, from which code
would be made on the spot (of Marlin's and fp8 kernels alone: all others have code for sm_90), marked as meant for a
later GPU, so that the driver passes it over; and, in FlashAttention 3, the instructions of half-precision and fp8
kernels, whose headers stay. Format of the containers: 16 bytes of header, then parts, each with its own header, of
which are read here its kind, its length, that of its content, and the number of its architecture.
"""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

MAGIC = struct.pack("<IHH", 0xBA55ED50, 1, 16)
PTX, HOPPER, LATER = 1, 90, 120
ARCHITECTURE = 28
"""Where in the header of a part its architecture stands."""
ELEMENT = re.compile(rb"ELi\d+ENS_\d+(bfloat16_t|half_t|float_e4m3_t)Ef")
"""The numbers that a kernel of FlashAttention 3 works with, in its mangled name."""


def parts(data: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    """Kind, architecture, and where header, content and end are, of every part of every container."""
    at = 0
    while (at := data.find(MAGIC, at)) >= 0:
        end = at + 16 + struct.unpack_from("<Q", data, at + 8)[0]
        here = at + 16
        while here < end:
            kind, _, header, length = struct.unpack_from("<HHIQ", data, here)
            architecture, = struct.unpack_from("<I", data, here + ARCHITECTURE)
            yield kind, architecture, here, here + header, here + header + length
            here += header + length
        at = end


def instructions(cubin: bytes) -> Iterator[tuple[int, int]]:
    """Where each section of instructions of an ELF file begins and ends."""
    table, = struct.unpack_from("<Q", cubin, 40)
    width, number, names = struct.unpack_from("<HHH", cubin, 58)
    rows = [struct.unpack_from("<IIQQQQ", cubin, table + width * row) for row in range(number)]
    for name, _, _, _, offset, size in rows:
        if cubin.startswith(b".text.", rows[names][4] + name):
            yield offset, offset + size


def empty(path: Path) -> None:
    data = bytearray(path.read_bytes())
    emptied = 0
    for kind, architecture, head, start, end in list(parts(bytes(data))):
        if kind == PTX:
            struct.pack_into("<I", data, head + ARCHITECTURE, LATER)
        if kind == PTX or architecture != HOPPER:
            gone = [(start, end)]
        else:
            cubin = bytes(data[start:end])
            elements = set(ELEMENT.findall(cubin))
            other = elements and b"bfloat16_t" not in elements
            gone = [(start + first, start + last) for first, last in instructions(cubin)] if other else []
        for first, last in gone:
            data[first:last] = bytes(last - first)
            emptied += last - first
    path.write_bytes(data)
    print(f"{path.name}: {emptied / 1e6:.0f} of {len(data) / 1e6:.0f} MB emptied")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        empty(Path(name))
