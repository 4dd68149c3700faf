"""The job that calls what batches and chains were given to call."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, override
from uuid import UUID, uuid5

import structlog
from django.db import transaction

from jobs.batch import Batch, Failure, find_batch
from jobs.callables import find_callable
from jobs.encryption import seal, unseal
from jobs.exceptions import PayloadError
from jobs.job import Job, find_class
from jobs.models import Batch as BatchRow
from jobs.payload import Record
from jobs.services import get_callbacks, send

#: Events at which a callback is told of a failure.
_OF_FAILURE: Final = frozenset({"catch", "failure", "chain"})
_log = structlog.get_logger("gatehouse.jobs")


class CallbackJob(Job):
    """Call the callbacks of some events, in order. One that raises stops none of the others; the job then fails.

    That is final, and changes nothing for the batch or the chain; a retry calls all of them again. Only where a worker
    dies are they called by the next one.
    """

    tries = 3
    is_internal = True

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
            PermanentJobError: Some have raised, or the row of the batch was changed behind our back.
        """
        batch = None if self.batch_id is None else find_batch(self.batch_id)
        errors: list[Exception] = []
        try:
            calls = self._list_calls()
        except PayloadError as error:
            self.fail(error)
        for number, (event, call) in enumerate(calls):
            try:
                self._call(number, event, call, batch)
            except Exception as error:  # noqa: BLE001 - the others are called all the same
                errors.append(error)
        if errors:
            names = ", ".join(type(error).__qualname__ for error in errors)
            self.fail(ExceptionGroup(f"Callbacks raised: {names}", errors))

    def _list_calls(self) -> list[tuple[str, dict[str, Any]]]:  # Any: JSON
        if self.batch_id is None:
            return [("chain", call) for call in self.calls]
        row = BatchRow.objects.filter(pk=self.batch_id).first()
        callbacks = {} if row is None else get_callbacks(row)
        return [(event, dict(call)) for event in self.events for call in callbacks.get(event, ())]

    def _call(self, number: int, event: str, call: dict[str, Any], batch: Batch | None) -> None:  # Any: JSON
        if "job" in call:
            send([renew(Record.from_json(call["job"]), uuid5(self.job_id, str(number)))])
            return
        arguments = [] if batch is None else [batch.fresh() or batch]
        failure = [self.failure] if event in _OF_FAILURE else []
        find_callable(call["function"])(*arguments, *failure)


def call_functions(paths: Sequence[str], *, batch_id: UUID) -> None:
    """Call functions of a batch here and now; what they raise is logged, and stops nothing."""
    for path in paths:
        try:
            with transaction.atomic():
                find_callable(path)(find_batch(batch_id))
        except Exception as error:  # noqa: BLE001 - whatever it is, the batch goes on
            _log.error("callback_raised", batch_id=str(batch_id), callback=path, error=type(error).__qualname__)


def renew(record: Record, job_id: UUID) -> Record:
    """Return a job under another id, as whatever is called more than once needs it; what follows it has others, too."""
    arguments = record.arguments
    if find_class(record).encrypted:  # which opens for the id alone that it was sealed for
        arguments = seal(unseal(dict(arguments), about=f"{record.job_id}"), about=f"{job_id}")
    chain = record.chain
    if chain:
        chain = {**chain, "links": [_renew_link(link, job_id) for link in chain.get("links", ())]}
    return replace(record, job_id=job_id, arguments=arguments, chain=chain)


def _renew_link(link: Mapping[str, Any], seed: UUID) -> dict[str, Any]:  # Any: JSON
    if "record" in link:
        return {"record": _renew_json(link["record"], seed)}
    plan = link["batch"]
    return {"batch": {**plan, "records": [_renew_json(one, seed) for one in plan["records"]]}}


def _renew_json(values: Mapping[str, Any], seed: UUID) -> dict[str, Any]:  # Any: JSON
    """Return a job that follows the one of an id; the same, whenever asked."""
    record = Record.from_json(values)
    return renew(record, uuid5(seed, str(record.job_id))).as_json()
