from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from django.db import transaction

from project.transactions import on_end

type CaptureCallbacks = Callable[..., AbstractContextManager[list[Callable[[], object]]]]


@pytest.mark.django_db
def test_what_a_hook_adds_is_called_once_where_a_test_calls_hooks(
    django_capture_on_commit_callbacks: CaptureCallbacks,
) -> None:
    called: list[str] = []

    def act() -> None:
        called.append("first")
        on_end(commit=lambda: called.append("second"))

    with django_capture_on_commit_callbacks(execute=True):
        transaction.on_commit(act)
    assert called == ["first", "second"]
