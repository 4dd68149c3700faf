"""Whether all workers were told to end, so that whoever keeps them alive starts them anew."""

import mmap
import struct
from typing import Final

_COUNT: Final = struct.Struct("q")


class Restarts:
    """What one worker knows of it, or all the processes of a parent, also those that live for one job only.

    The memory is shared: a process that is forked afterwards finds what those before it have noted.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self._memory = mmap.mmap(-1, _COUNT.size)

    def is_new(self, count: int) -> bool:
        """Take how often a restart was requested, and say whether that has changed since it was told first."""
        (first,) = _COUNT.unpack_from(self._memory)
        if not first:
            _COUNT.pack_into(self._memory, 0, count + 1)  # the memory begins with 0
        return first not in {0, count + 1}
