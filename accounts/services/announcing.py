"""Telling the rest of the house what came true."""

from functools import partial

from django.db import transaction
from django.dispatch import Signal

from accounts.models import User


def announce(signal: Signal, **facts: object) -> None:
    """Send a signal once the transaction is committed; a receiver that raises is logged and undoes nothing."""
    transaction.on_commit(partial(signal.send_robust, sender=User, **facts))
