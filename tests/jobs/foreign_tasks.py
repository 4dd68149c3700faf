"""Tasks as another app brings them: they know ``django.tasks`` and nothing of jobs."""

import logging
from typing import Any

from django.core.mail import send_mail
from django.tasks import TaskContext, task

logger = logging.getLogger(__name__)


@task
def email_users(emails: list[str], subject: str, message: str) -> int:
    """The example of Django's documentation."""
    return send_mail(subject=subject, message=message, from_email=None, recipient_list=emails)


@task(takes_context=True)
def email_users_again(context: "TaskContext[..., Any]", emails: list[str], subject: str) -> int:
    """The same, with the context."""
    logger.debug("Attempt %s. Task result id: %s.", context.attempt, context.task_result.id)
    return send_mail(subject=subject, message=str(context.attempt), from_email=None, recipient_list=emails)


@task(priority=2, queue_name="emails")
def double(number: int) -> int:
    return number * 2


@task()
async def triple(number: int) -> int:
    return number * 3


@task
def fail() -> None:
    raise ValueError("no luck")


@task
def return_object() -> object:
    return object()


@task
def return_odd() -> dict[str, str]:
    return {"nul": "\x00", "surrogate": "\ud800"}


@task(takes_context=True)
def tell_attempt(context: "TaskContext[..., Any]") -> list[object]:
    if context.attempt < 2:
        raise LookupError("not yet")
    return [context.attempt, str(context.task_result.status), len(context.task_result.errors)]


def plain(number: int) -> int:
    return number


@task
def rename(number: int) -> int:
    return number


renamed, rename = rename, plain  # type: ignore[assignment] # its path leads to something else
