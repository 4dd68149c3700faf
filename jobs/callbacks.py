"""The job that calls what batches and chains were given to call."""

from typing import Any, override
from uuid import UUID

from jobs.batch import Failure, find_batch
from jobs.callables import find_callable
from jobs.job import Job
from jobs.models import Batch as BatchRow
from jobs.payload import Record
from jobs.services import get_callbacks, send


class CallbackJob(Job):
    """Call the callbacks of some events, in order. One that raises stops none of the others; the job then fails."""

    tries = 1

    def __init__(
        self,
        calls: list[dict[str, Any]],  # Any: JSON
        batch_id: UUID | None,
        events: list[str],
        failure: dict[str, str] | None,
    ) -> None:
        """Take the callbacks of a chain; or a batch, whose row has them, and what happened to it."""
        self.calls = calls
        self.batch_id = batch_id
        self.events = events
        self.failure = None if failure is None else Failure.from_json(failure)

    @override
    def handle(self) -> None:
        """Call them.

        Raises:
            ExceptionGroup: Some have raised.
        """
        errors: list[Exception] = []
        for event, call in self._list_calls():
            try:
                self._call(event, call)
            except Exception as error:  # noqa: BLE001 - the others are called all the same
                errors.append(error)
        if errors:
            message = "A callback raised."
            raise ExceptionGroup(message, errors)

    def _list_calls(self) -> list[tuple[str, dict[str, Any]]]:  # Any: JSON
        if self.batch_id is None:
            return [("chain", call) for call in self.calls]
        row = BatchRow.objects.filter(pk=self.batch_id).first()
        callbacks = {} if row is None else get_callbacks(row)
        return [(event, call) for event in self.events for call in callbacks.get(event, [])]

    def _call(self, event: str, call: dict[str, Any]) -> None:  # Any: JSON
        if "job" in call:
            send([Record.from_json(call["job"])])
            return
        function = find_callable(call["function"])
        batch = [] if self.batch_id is None else [find_batch(self.batch_id)]
        failure = [self.failure] if event in {"catch", "failure", "chain"} else []
        function(*batch, *failure)
