"""Who pushes jobs to a store that is to take each of them once, also where no answer came and they are sent again.

A sender counts the jobs that it has sent, one push after another, and the store remembers of each sender how far it has
come. So it knows a push that it has seen, whatever has become of the jobs. A sender that has heard no answer sends
nothing more: what it has sent last stays known by its numbers, which the outbox takes over as keys.
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

from jobs.drivers.base import Message

#: Characters of a key, as text, that name the sender; the others are the number, in eight digits.
_NAME_LENGTH: Final = 28
#: A sender that has counted so far is replaced: the numbers of one more push still have eight digits.
_MOST: Final = 0x80000000

#: So many are kept; a push of many thousand jobs takes one for each step.
_MOST_IDLE: Final = 64


@dataclass(slots=True)
class Sender:
    """One who has no more than one push on its way."""

    name: str
    #: The number of the job that it sends last.
    count: int = 0


class Senders:
    """Those of a process that have nothing on their way; there come to be as many as push at the same moment."""

    def __init__(self) -> None:
        """Begin with none."""
        self._idle: deque[Sender] = deque(maxlen=_MOST_IDLE)
        self._process_id = os.getpid()

    @contextmanager
    def sending(self, messages: Sequence[Message]) -> Iterator[Sender]:
        """Yield one that has counted these jobs; where the block raises, note on them how their store may know them."""
        sender = self._take()
        first = sender.count + 1
        sender.count += len(messages)
        try:
            yield sender
        except BaseException:
            for number, message in enumerate(messages, first):
                # Of several stores that were asked, the first is asked first again.
                message.key = message.key or UUID(f"{sender.name}{number:08x}")
            raise
        if sender.count < _MOST:
            self._idle.append(sender)

    def _take(self) -> Sender:
        if self._process_id != os.getpid():  # those from before a fork are the parent's
            self._idle, self._process_id = deque(maxlen=_MOST_IDLE), os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return Sender(str(uuid4())[:_NAME_LENGTH])
