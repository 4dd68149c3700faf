"""Forms of dispatch, which are called on a class with its arguments, or on a job that was made before."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jobs.arguments import bind_arguments
from jobs.conditions import is_true
from jobs.exceptions import JobArgumentError
from jobs.job.registry import require_registered

if TYPE_CHECKING:
    from jobs.job.base import Job


class Form:
    """A form of dispatch: of a class it makes a job of the arguments, which are checked first; of a job it takes that.

    ``with_condition`` says that the first argument is a condition, and for which answer the job is sent.
    """

    def __init__(self, send: "Callable[[Job], object]", *, with_condition: bool | None = None) -> None:
        """Take what sends the job."""
        self._send = send
        self._with_condition = with_condition

    def __get__(self, instance: "Job | None", owner: "type[Job]") -> Callable[..., object]:
        """Return the form as a function."""

        def form(*args: Any, **kwargs: Any) -> object:  # Any: the constructor's
            if self._with_condition is not None:
                if not args:
                    message = f"{owner.__name__}: a condition is needed before the arguments."
                    raise JobArgumentError(message)
                condition, args = args[0], args[1:]
                if is_true(condition) is not self._with_condition:
                    return None
            if instance is not None:
                if args or kwargs:
                    message = f"{owner.__name__}: this job was made with its arguments; no more can be given to it."
                    raise JobArgumentError(message)
                return self._send(instance)
            require_registered(owner)
            bind_arguments(owner, args, kwargs)
            return self._send(owner(*args, **kwargs))

        return form
