"""Which samples a file of predictions answers: for a million of them, in the memory of a few pictures.

Takes a file of predictions, gives for ids the lines that hold them. Ids are kept as 64-bit hashes: among a million, the
chance that any two are taken for one is 3 in 100 million. Knows nothing of readers.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from latexocr.errors import UserError
from latexocr.records import placed_json_lines


def hashed(ids: Iterable[str]) -> np.ndarray:
    """A 64-bit hash of each id: uint64, (n,)."""
    return np.frombuffer(b"".join(hashlib.blake2b(id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
                                  for id in ids), np.uint64)


class Answered:
    """The lines of a file of predictions, by id. A file that does not exist has none."""

    def __init__(self, path: Path) -> None:
        """Raises UserError on a line that is no prediction, and on an id that has two."""
        self.path = path
        hashes, places, failed, pictures = bytearray(), array("Q"), bytearray(), bytearray()
        for number, place, fields in placed_json_lines(path) if path.exists() else ():
            if not isinstance(fields.get("id"), str) or "latex" not in fields:
                raise UserError(f"{path}:{number}: no 'id' or no 'latex'. Each line needs both.")
            hashes += hashed([fields["id"]]).tobytes()
            places.append(place)
            failed.append(fields.get("stop") == "error")
            pictures += bytes.fromhex(fields["picture"]) if fields.get("picture") else bytes(8)
        in_file = np.frombuffer(bytes(hashes), np.uint64)
        self._lines = np.argsort(in_file, kind="stable").astype(np.uint32)
        self._hashes = in_file[self._lines]
        self._places = np.frombuffer(places, np.uint64)
        self._failed = np.frombuffer(failed, np.uint8)
        self._pictures = np.frombuffer(pictures, np.uint64)
        self._refuse_doubles()

    def __len__(self) -> int:
        return len(self._hashes)

    @property
    def failures(self) -> int:
        """Lines that are failures."""
        return int(self._failed.sum())

    def lines(self, ids: Sequence[str]) -> np.ndarray:
        """The number of the line of each id, from 0, or -1: int64, (n,)."""
        wanted = hashed(ids)
        if not len(self):
            return np.full(len(wanted), -1)
        at = np.minimum(np.searchsorted(self._hashes, wanted), len(self) - 1)
        return np.where(self._hashes[at] == wanted, self._lines[at].astype(np.int64), -1)

    def picture(self, line: int) -> bytes:
        """The first eight bytes of the hash of the picture that was read for a line; zeros where it was not kept."""
        return self._pictures[line].tobytes()

    def id(self, line: int) -> str:
        """The id of a line."""
        return json.loads(next(self.copied([line])))["id"]

    def stranger(self, known: np.ndarray) -> str:
        """An id that is not among those whose hashes are given, which there must be."""
        return self.id(int(self._lines[~np.isin(self._hashes, known)].min()))

    def copied(self, lines: Iterable[int]) -> Iterator[str]:
        """The text of lines, in the order asked for."""
        with self.path.open("rb") as file:
            for line in lines:
                file.seek(int(self._places[line]))
                yield file.readline().decode("utf-8")

    def sound(self) -> np.ndarray:
        """The numbers of the lines that are no failures, in their order."""
        return np.flatnonzero(self._failed == 0)

    def _refuse_doubles(self) -> None:
        doubled = np.flatnonzero(self._hashes[1:] == self._hashes[:-1])
        if len(doubled):
            raise UserError(f"{self.path}: {self.id(int(self._lines[doubled[0]]))!r} twice or more. Each sample needs "
                            "exactly one prediction.")
