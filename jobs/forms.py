"""Forms in which people in the admin say what runs when, and which queues rest."""

import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, override

from django import forms
from django.contrib.admin.widgets import AdminSplitDateTime
from django.core.exceptions import ValidationError

from jobs.arguments import encode_arguments, get_parameters
from jobs.conf import get_job_settings
from jobs.cron import Timing
from jobs.drivers.base import get_driver
from jobs.drivers.sync import SyncDriver
from jobs.exceptions import (
    JobArgumentError,
    JobDefinitionError,
    JobOptionError,
    JobRefusedError,
    ScheduleBrokenError,
    ScheduleTimingError,
)
from jobs.job import get_job_class, get_job_name, list_job_classes
from jobs.models import Schedule
from jobs.models.queued import EVERY_QUEUE
from jobs.options import MAX_QUEUE_NAME_LENGTH, is_queue_name
from jobs.queues import check_queue_is_known
from jobs.scheduler import build_scheduled_job, get_shown_arguments, is_secret, read_entry
from jobs.schedules import MAX_MISSED, Entry

if TYPE_CHECKING:
    ScheduleModelForm = forms.ModelForm[Schedule]
else:  # generic in the stubs only
    ScheduleModelForm = forms.ModelForm

_KEPT = "Secret: what is stored isn't shown. Leave it empty to keep it, or enter all arguments anew."
_ARGUMENTS = 'The constructor\'s arguments as a JSON object, such as {"days": 30}; {} where there are none.'


def _list_enums(value: object) -> Iterator[str]:
    """Return the names of enums among JSON values: to read one imports its module, which nobody may choose here."""
    match value:
        case {"$enum": [path, *_]}:
            yield str(path)
        case dict():
            yield from (path for item in value.values() for path in _list_enums(item))
        case list():
            yield from (path for item in value for path in _list_enums(item))
        case _:
            return


class ScheduleForm(ScheduleModelForm):
    """What runs, and when; every error stands at its field and says what may be there."""

    #: Key of the user who fills the form in, on whose behalf the jobs will run.
    actor_id: ClassVar[str] = ""

    job_class = forms.ChoiceField(label="Job", help_text="Only registered jobs can run.")
    arguments = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 4}), required=False, strip=True, help_text=_ARGUMENTS, max_length=1_000_000
    )
    timezone = forms.CharField(
        label="Time zone",
        max_length=64,
        initial="UTC",
        help_text="In which it is read: Europe/Berlin, UTC.",
    )
    interval_seconds = forms.IntegerField(
        required=False, min_value=1, max_value=315_360_000, help_text="Or an interval, in place of an expression."
    )
    priority = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=255,
        help_text="0 to 255, in place of that of the job.",
    )
    max_missed = forms.IntegerField(
        label="Bound of missed runs", min_value=1, max_value=MAX_MISSED, initial=10,
        help_text="How many missed runs are made up for at most, the last ones, where each is run.",
    )  # fmt: skip

    class Meta:
        model = Schedule
        fields = [
            "name", "job_class", "arguments", "cron", "interval_seconds", "timezone", "queue", "priority", "is_enabled",
            "missed_runs", "max_missed",
        ]  # fmt: skip
        help_texts: ClassVar = {
            "cron": "Minute, hour, day, month, day of the week, such as 0 3 * * *; or @daily, @hourly and so on.",
            "queue": "In place of that of the job.",
            "missed_runs": "What becomes of runs whose time passed while no worker and no scheduler ran.",
        }

    @override
    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: Django's own arguments
        """Offer the registered jobs, and show arguments that aren't secret."""
        super().__init__(*args, **kwargs)
        if "job_class" not in self.fields:  # who may only look gets no fields
            return
        names = [get_job_name(job_class) for job_class in list_job_classes()]
        stored = self.instance.job_class
        names += [stored] if stored and stored not in names else []
        field = self.fields["job_class"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - see above
        field.choices = [("", "---------"), *((name, name) for name in names)]
        if self.instance.pk:
            shown = get_shown_arguments(self.instance)
            self.initial["arguments"] = "" if shown is None else json.dumps(shown, indent=2)
            if shown is None:
                self.fields["arguments"].help_text = _KEPT

    def clean_name(self) -> str:
        """Refuse a new name for an entry of code: under its old one the code would add it again."""
        name: str = self.cleaned_data["name"]
        if self.instance.origin == "code" and name != self.instance.name:
            message = "It comes from the code, so its name is changed there."
            raise ValidationError(message)
        return name

    def clean_job_class(self) -> str:
        """Refuse a class that isn't there any more."""
        name: str = self.cleaned_data["job_class"]
        job_class = get_job_class(name)
        if job_class is None:
            message = f"No registered job class is called {name}. Add its module to JOBS['MODULES'], or choose another."
            raise ValidationError(message)
        try:
            get_parameters(job_class)
        except JobDefinitionError as error:
            raise ValidationError(str(error)) from error
        return name

    def clean_queue(self) -> str:
        """Refuse a queue that no worker knows."""
        queue: str = self.cleaned_data["queue"]
        if queue:
            try:
                check_queue_is_known(queue)
            except JobOptionError as error:
                raise ValidationError(str(error)) from error
        return queue

    def clean_arguments(self) -> dict[str, object] | None:
        """Return the arguments; None where what is stored stays."""
        text: str = self.cleaned_data["arguments"]
        if not text:
            return None if self._keeps_arguments() else {}
        try:
            arguments: object = json.loads(text)
        except (ValueError, RecursionError) as error:
            where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
            message = f"This is not JSON{where}. {_ARGUMENTS}"
            raise ValidationError(message) from error
        if not isinstance(arguments, dict):
            message = f"This is JSON, but no object. {_ARGUMENTS}"
            raise ValidationError(message)
        if any(path.partition(":")[0] not in sys.modules for path in _list_enums(arguments)):
            message = "An enum among the arguments names something that isn't in use here. Write module:EnumClass."
            raise ValidationError(message)
        return arguments

    @override
    def clean(self) -> dict[str, object] | None:
        """Check that the moment comes, and that the job can be made and sent."""
        cleaned = super().clean()
        if not self.errors:
            self._check_timing()
        if not self.errors:
            self._check_job()
        return cleaned

    def get_entry(self) -> Entry:
        """Return what was entered."""
        values = self.cleaned_data
        return Entry(
            name=values["name"],
            job_class=values["job_class"],
            arguments=values["arguments"],
            timing=self._get_timing(),
            queue=values["queue"],
            priority=values["priority"],
            actor_id=self.actor_id,
            is_enabled=values["is_enabled"],
            missed_runs=values["missed_runs"],
            max_missed=values["max_missed"],
        )

    def _keeps_arguments(self) -> bool:
        return bool(self.instance.pk) and get_shown_arguments(self.instance) is None

    def _get_timing(self) -> Timing:
        seconds = self.cleaned_data["interval_seconds"]
        interval = None if seconds is None else timedelta(seconds=seconds)
        return Timing(cron=self.cleaned_data["cron"].strip(), interval=interval, timezone=self.cleaned_data["timezone"])

    def _check_timing(self) -> None:
        try:
            self._get_timing().check()
        except ScheduleTimingError as error:
            self.add_error(error.field, str(error))

    def _check_job(self) -> None:
        try:
            if self.cleaned_data["arguments"] is None:
                self.cleaned_data["arguments"] = self._get_stored_arguments()
            job = build_scheduled_job(self.get_entry())
            # As the constructor understands them, defaults included.
            self.cleaned_data["arguments"] = encode_arguments(job.get_arguments())
            job.make_record()
        except JobRefusedError:
            self.add_error("job_class", "You lack a permission that this job requires, and it would run for you.")
        except (JobOptionError, JobDefinitionError) as error:
            self.add_error("job_class", str(error))
        except (ScheduleBrokenError, JobArgumentError) as error:
            self.add_error("arguments", str(error))

    def _get_stored_arguments(self) -> dict[str, object]:
        """Return the arguments that are kept; only for the class that they were entered for.

        Raises:
            ScheduleBrokenError: They can't be read, or were entered for another class.
        """
        stored = Schedule.objects.get(pk=self.instance.pk)
        if stored.job_class != self.cleaned_data["job_class"] and is_secret(get_job_class(stored.job_class)):
            message = "The arguments that are stored belong to another job. Enter those of this one."
            raise ScheduleBrokenError(message)
        return dict(read_entry(stored).arguments)


def list_pausable_connections() -> list[str]:
    """Return the names of the connections whose queues can rest."""
    return [name for name in get_job_settings().connections if not isinstance(get_driver(name), SyncDriver)]


class PauseForm(forms.Form):
    """Which queue of which connection is to rest, and until when."""

    connection = forms.ChoiceField(
        choices=lambda: [(name, name) for name in list_pausable_connections()],
        initial=lambda: get_job_settings().connection,
    )
    queue = forms.CharField(max_length=MAX_QUEUE_NAME_LENGTH, help_text="Name of the queue; * stands for all")
    until = forms.SplitDateTimeField(
        required=False, widget=AdminSplitDateTime(), help_text="Empty: until it is resumed"
    )

    def clean_queue(self) -> str:
        """Return the name.

        Raises:
            ValidationError: No queue can be called so.
        """
        name: str = self.cleaned_data["queue"]
        if name != EVERY_QUEUE and not is_queue_name(name):
            raise ValidationError("No queue can be called so.")
        return name
