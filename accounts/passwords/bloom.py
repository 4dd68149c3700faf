"""A set of SHA-1 digests in a file, small and never wrong about what is in it: a Bloom filter.

The file is a header and a field of bits, read through ``mmap``: processes share its pages, and none holds it all.
Replace the file by renaming another over it, as ``build`` does; to shorten it in place would kill its readers.
"""

import hashlib
import math
import mmap
import os
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Self

_MAGIC = b"GHBLOOM\n"
_VERSION = 1
#: Magic, version, probes, bits, entries, rate of false positives, SHA-256 of the bits.
_FIELDS = struct.Struct(">8sHHQQd32s")
_SEAL_BYTES = 32  # SHA-256 of the fields
_HEADER_BYTES = _FIELDS.size + _SEAL_BYTES
_MOST_PROBES = 64


class BrokenFilterError(Exception):
    """The file is no filter of this version, or has been damaged."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of a filter, the best for a number of entries and a rate of false positives."""

    bits: int
    #: Bits that are set for each entry.
    probes: int

    @classmethod
    def fit(cls, *, entries: int, false_positives: float) -> Self:
        """Compute the shape; ``false_positives`` is the share of other digests that are taken for one of the set."""
        bits = max(64, math.ceil(-entries * math.log(false_positives) / math.log(2) ** 2))
        return cls(bits, max(1, round(bits / max(1, entries) * math.log(2)))) if entries else cls(bits, 1)


@dataclass(frozen=True, slots=True)
class Built:
    """What ``build`` has written."""

    entries: int
    shape: Shape
    size_bytes: int


class BloomFilter:
    """An open file of digests."""

    def __init__(self, path: Path) -> None:
        """Open and map the file, and check its header and its size.

        Raises:
            OSError: It can't be read.
            BrokenFilterError: It is no filter, or was cut off.
        """
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
            self.shape, self.entries, self.false_positives, self._checksum = _read_header(header)
            size = _HEADER_BYTES + _body_bytes(self.shape)
            if os.fstat(file.fileno()).st_size != size:
                message = f"it should have {size} bytes"
                raise BrokenFilterError(message)
            self._field = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)

    def __contains__(self, digest: bytes) -> bool:
        """Say whether a SHA-1 digest is in the set, wrongly yes at the rate of false positives."""
        field, bits = self._field, self.shape.bits
        for position in _positions(digest, self.shape.probes):
            bit = position % bits
            if not field[_HEADER_BYTES + (bit >> 3)] & 1 << (bit & 7):
                return False
        return True

    def verify(self) -> None:
        """Read the whole file.

        Raises:
            BrokenFilterError: Its bits are not those that were written.
        """
        if _checksum(self._field) != self._checksum:
            message = "its checksum is wrong"
            raise BrokenFilterError(message)


def build(path: Path, *, read_digests: Callable[[], Iterable[bytes]], entries: int, false_positives: float) -> Built:
    """Write a filter of so many SHA-1 digests and put it in the place of an earlier one, in one step.

    Raises:
        OSError: It can't be written, or the disk is full.
        ValueError: There are more or fewer digests than was said.
    """
    shape = Shape.fit(entries=entries, false_positives=false_positives)
    size = _HEADER_BYTES + _body_bytes(shape)
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        temporary = Path(file.name)
        try:
            # Reserved, because a disk that is full when a mapped page is written would kill the process.
            os.posix_fallocate(file.fileno(), 0, size)
            with mmap.mmap(file.fileno(), size) as field:
                _set_bits(field, shape, read_digests(), entries)
                fields = _FIELDS.pack(
                    _MAGIC, _VERSION, shape.probes, shape.bits, entries, false_positives, _checksum(field)
                )
                field[:_HEADER_BYTES] = fields + hashlib.sha256(fields).digest()
                field.flush()
            os.fsync(file.fileno())
            temporary.chmod(0o644)  # others may read it: web and workers may run as another user than who built it
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    return Built(entries, shape, size)


def _set_bits(field: mmap.mmap, shape: Shape, digests: Iterable[bytes], entries: int) -> None:
    bits, probes, count = shape.bits, shape.probes, 0
    for digest in digests:
        count += 1
        for position in _positions(digest, probes):
            bit = position % bits
            field[_HEADER_BYTES + (bit >> 3)] |= 1 << (bit & 7)
    if count != entries:
        message = f"there were {count} digests, not {entries}"
        raise ValueError(message)


def _read_header(header: bytes) -> tuple[Shape, int, float, bytes]:
    """Return shape, entries, rate of false positives and the checksum of the bits."""
    if not header.startswith(_MAGIC) or len(header) != _HEADER_BYTES:
        message = "it is no filter"
        raise BrokenFilterError(message)
    fields = header[: _FIELDS.size]
    if hashlib.sha256(fields).digest() != header[_FIELDS.size :]:
        message = "its header is damaged"
        raise BrokenFilterError(message)
    _, version, probes, bits, entries, false_positives, checksum = _FIELDS.unpack(fields)
    if version != _VERSION or not 0 < probes <= _MOST_PROBES or not bits:
        message = f"its version is {version}, not {_VERSION}"
        raise BrokenFilterError(message)
    return Shape(bits, probes), entries, false_positives, checksum


def _body_bytes(shape: Shape) -> int:
    return (shape.bits + 7) // 8


def _checksum(field: mmap.mmap) -> bytes:
    with memoryview(field) as view, view[_HEADER_BYTES:] as body:
        return hashlib.sha256(body).digest()


def _positions(digest: bytes, probes: int) -> tuple[int, ...]:
    """Return independent numbers. To step through the bits by two parts of the digest spoils the rate of small sets."""
    return struct.unpack(f">{probes}Q", hashlib.shake_128(digest).digest(8 * probes))
