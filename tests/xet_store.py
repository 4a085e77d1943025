"""A store for tests that speaks as much of the xet protocol as an upload by huggingface_hub needs. No test is in here.

Files arrive as chunks, packed into xorbs; a shard says of which chunks each file is made. The formats are those of
https://huggingface.co/docs/xet (xorb, shard). Chunks have to come uncompressed: random bytes are sent so.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

RECORD = struct.Struct("<32sIIII")
"""48 bytes: a file, its flags, its number of parts; a part, its xorb, flags, length, first chunk and the one after."""
VERIFIED, NAMED = 1 << 31, 1 << 30
"""Flags of a file: each part is followed by its check, and the parts by the file's sha256."""


def text(hash_: bytes) -> str:
    """A hash as addresses have it: four numbers of 64 bits."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", hash_))


@dataclass
class Store:
    """What was uploaded: chunks by xorb, and parts of files by sha256."""

    xorbs: dict[str, list[bytes]] = field(default_factory=dict)
    files: dict[str, list[tuple[str, int, int]]] = field(default_factory=dict)

    def add_xorb(self, name: str, data: bytes) -> None:
        self.xorbs[name] = list(chunks(data))

    def add_shard(self, data: bytes) -> None:
        """Raises KeyError where a file is of a xorb that has not come."""
        place = RECORD.size  # The header.
        while data[place:place + 32] != b"\xff" * 32:
            _, flags, count, _, _ = RECORD.unpack_from(data, place)
            parts = [RECORD.unpack_from(data, place + RECORD.size * (1 + number)) for number in range(count)]
            place += RECORD.size * (1 + count * (2 if flags & VERIFIED else 1))
            assert flags & NAMED, "a file without its sha256"
            self.files[text(data[place:place + 32])] = [(text(xorb), first, end) for xorb, _, _, first, end in parts]
            place += RECORD.size
            assert all(end <= len(self.xorbs[text(xorb)]) for xorb, _, _, _, end in parts)

    def file(self, sha256: str) -> bytes:
        return b"".join(chunk for xorb, first, end in self.files[sha256] for chunk in self.xorbs[xorb][first:end])


def chunks(xorb: bytes) -> Iterator[bytes]:
    """The chunks of a xorb, each behind a header of 8 bytes: version, length packed, compression, length."""
    place = 0
    while place < len(xorb) and xorb[place:place + 7] != b"XETBLOB":
        packed, length = (int.from_bytes(xorb[at:at + 3], "little") for at in (place + 1, place + 5))
        assert xorb[place + 4] == 0 and packed == length, "a compressed chunk"
        yield xorb[place + 8:place + 8 + length]
        place += 8 + packed
