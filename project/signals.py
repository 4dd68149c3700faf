"""Django signals that carry one typed fact, so that a type checker compares who tells it with who hears it."""

from collections.abc import Callable
from inspect import iscoroutinefunction, markcoroutinefunction

from django.dispatch import Signal


class FactSignal[F](Signal):
    """A Django signal that carries a fact: a frozen dataclass.

    A receiver of plain ``connect`` gets ``signal``, ``sender`` (None), and the fact as ``fact``.
    """

    @property
    def is_heard(self) -> bool:
        """Whether anybody may listen; where nobody does, a fact of a hot path needn't be made."""
        return bool(self.receivers)

    def announce(self, fact: F) -> None:
        """Tell all receivers; one that raises is logged and stops nobody."""
        self.send_robust(None, fact=fact)

    def listen[R](self, receiver: Callable[[F], R]) -> Callable[[F], R]:
        """Call a function, sync or async, with each fact from now on; usable as a decorator.

        It is kept as long as the signal, unlike what is connected weakly; a second time changes nothing.
        """

        def hear(*, fact: F, **_others: object) -> R:
            return receiver(fact)

        hear.__qualname__ = getattr(receiver, "__qualname__", repr(receiver))  # what the log names where it raises
        if iscoroutinefunction(receiver):
            markcoroutinefunction(hear)
        self.connect(hear, weak=False, dispatch_uid=receiver)
        return receiver

    def unlisten(self, receiver: Callable[[F], object]) -> bool:
        """Call a function no more; False where it didn't listen."""
        return self.disconnect(dispatch_uid=receiver)


class VetoSignal[F](FactSignal[F]):
    """A fact that is about to be, which each receiver may prevent by returning False."""

    def allows(self, fact: F) -> bool:
        """Tell all receivers; False where one of them says so. One that raises is logged and prevents nothing."""
        return not self.is_heard or all(answer is not False for _, answer in self.send_robust(None, fact=fact))
