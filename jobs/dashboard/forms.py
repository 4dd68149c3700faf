"""What pages are asked by their addresses, and what people fill in."""

from datetime import timedelta
from typing import Any, ClassVar, Final

from django import forms

from jobs.conf import get_job_settings
from jobs.job import get_job_name, list_job_classes
from jobs.queues import list_queue_names
from jobs.selectors import FailedState, JobQuery, JobStatus, list_stores

#: How long a while is shown, and in which steps.
SPANS: Final = {
    "1h": (timedelta(hours=1), timedelta(minutes=1)),
    "6h": (timedelta(hours=6), timedelta(minutes=5)),
    "24h": (timedelta(hours=24), timedelta(hours=1)),
    "7d": (timedelta(days=7), timedelta(hours=2)),
    "31d": (timedelta(days=31), timedelta(hours=12)),
}
_WORDS: Final = {"1h": "An hour", "6h": "Six hours", "24h": "A day", "7d": "A week", "31d": "A month"}


class OffersNames(forms.Form):
    """A form that offers the names of queues and classes that are known; any other can be said too."""

    def __init__(self, *args: Any, **more: Any) -> None:  # Any: Django's own
        super().__init__(*args, **more)
        #: Names by the id of the list that the page draws.
        self.offered = {
            "offered-queue": list_queue_names(),
            "offered-job_class": [get_job_name(one) for one in list_job_classes()],
        }
        for name in ("queue", "job_class"):
            self.fields[name].widget.attrs |= {"list": f"offered-{name}", "autocomplete": "off"}


class _Moment(forms.DateTimeField):
    """A moment, as browsers let people choose it."""

    def __init__(self, **more: Any) -> None:  # Any: Django's own
        super().__init__(
            required=False,
            input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"],
            widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
            **more,
        )


class SearchForm(OffersNames):
    """What is looked for in a list of jobs."""

    queue = forms.CharField(max_length=100, required=False)
    job_class = forms.CharField(max_length=200, required=False, label="Class")
    tag = forms.CharField(max_length=200, required=False)
    exception = forms.CharField(max_length=200, required=False, label="Exception")
    outcome = forms.ChoiceField(
        required=False,
        label="What became of it",
        choices=[("", "nobody has put it back"), ("retrying", "retried"), ("recovered", "recovered"), ("any", "any")],
    )
    since = _Moment(label="From")
    until = _Moment(label="Before")

    #: Those that only failed jobs have.
    of_failed: ClassVar[tuple[str, ...]] = ("exception", "outcome")

    def __init__(self, status: JobStatus, data: Any) -> None:  # Any: Django's own
        """Take which list it is, and the query of the address."""
        super().__init__(data, auto_id="search-%s")
        self._status = status
        if status is not JobStatus.FAILED:
            for name in self.of_failed:
                del self.fields[name]

    def get_query(self) -> JobQuery | None:
        """Return what is looked for; None where the form says what is wrong with it."""
        if not self.is_valid():
            return None
        said: dict[str, Any] = {name: value for name, value in self.cleaned_data.items() if value}  # Any: each its own
        outcome = said.pop("outcome", "failed")
        return JobQuery(status=self._status, outcome=None if outcome == "any" else FailedState(outcome), **said)


class MetricsForm(OffersNames):
    """Of what figures are shown, and how long back."""

    span = forms.ChoiceField(choices=list(_WORDS.items()), required=False, label="Time")
    queue = forms.CharField(max_length=100, required=False)
    job_class = forms.CharField(max_length=200, required=False, label="Class")

    def __init__(self, data: Any) -> None:  # Any: Django's own
        """Take the query of the address."""
        super().__init__(data, auto_id="metrics-%s")

    def get_said(self) -> dict[str, str]:
        """Return what is said and sound."""
        self.is_valid()
        return {name: str(value) for name, value in self.cleaned_data.items() if value}

    def get_span(self) -> tuple[timedelta, timedelta]:
        """Return how long back, and in which steps."""
        return SPANS.get(self.get_said().get("span", "1h"), SPANS["1h"])


class PauseForm(forms.Form):
    """Which queue is to rest, and for how long."""

    connection = forms.ChoiceField(
        choices=lambda: [(name, name) for name in list_stores()], initial=lambda: get_job_settings().connection
    )
    queue = forms.CharField(max_length=100, help_text="Name of the queue; * stands for all")
    minutes = forms.IntegerField(required=False, min_value=1, max_value=525_600, help_text="Empty: until it is resumed")
