"""Lists of breached passwords as operators have them: one entry per line, in plain or gzipped."""

import gzip
import hashlib
import re
import zlib
from collections.abc import Iterator
from enum import StrEnum
from io import BufferedIOBase
from pathlib import Path

_GZIP_MAGIC = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MAX_LINE_BYTES = 64 * 1024
_DIGEST = re.compile(rb"([0-9A-Fa-f]{40})(?::\d+)?")
_NTLM = re.compile(rb"[0-9A-Fa-f]{32}:\d+")


class ListError(Exception):
    """The list can't be used; the text says why."""


class Kind(StrEnum):
    """What the lines of a list are."""

    DIGESTS = "SHA-1 digests"
    PASSWORDS = "passwords"


class BreachedList:
    """A list that is read from start to end, line by line, as often as it is asked for."""

    def __init__(self, path: Path) -> None:
        """Tell from the first entry what the lines are.

        Raises:
            OSError: The file can't be read.
            ListError: It is no such list.
        """
        if not path.is_file():
            message = "there is no such file"
            raise ListError(message)
        self._path = path
        with path.open("rb") as file:
            self._is_gzipped = file.read(2) == _GZIP_MAGIC
        first = next((line for _, line in self._lines()), None)
        if first is None:
            message = "it is empty"
            raise ListError(message)
        if _NTLM.fullmatch(first):
            message = "it has NTLM hashes; get the list of SHA-1 digests"
            raise ListError(message)
        self.kind = Kind.DIGESTS if _DIGEST.fullmatch(first) else Kind.PASSWORDS

    def count(self) -> int:
        """Return how many entries there are.

        Raises:
            ListError: The list is damaged.
        """
        return sum(1 for _ in self._lines())

    def read(self) -> Iterator[bytes]:
        """Yield the SHA-1 digest of each entry.

        Raises:
            ListError: The list is damaged, or a line isn't of the kind of the first.
        """
        if self.kind is Kind.PASSWORDS:
            for _, line in self._lines():
                yield hashlib.sha1(line, usedforsecurity=False).digest()
            return
        for number, line in self._lines():
            if not (found := _DIGEST.fullmatch(line)):
                message = f"line {number} has no SHA-1 digest, and the first line has one"
                raise ListError(message)
            yield bytes.fromhex(found[1].decode())

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield each line that isn't empty, without its end, after its number."""
        try:
            with self._open() as file:
                for number, raw in enumerate(iter(lambda: file.readline(_MAX_LINE_BYTES), b""), start=1):
                    if len(raw) == _MAX_LINE_BYTES:
                        message = f"line {number} is longer than {_MAX_LINE_BYTES} bytes"
                        raise ListError(message)
                    line = raw.rstrip(b"\r\n")
                    if number == 1:
                        line = line.removeprefix(_BYTE_ORDER_MARK)
                    if line:
                        yield number, line
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            message = "it can't be unpacked; it may be cut off"
            raise ListError(message) from error

    def _open(self) -> BufferedIOBase:
        return gzip.open(self._path) if self._is_gzipped else self._path.open("rb")
