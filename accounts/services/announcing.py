"""Telling the rest of the house what came true."""

from functools import partial

from django.db import transaction

from project.signals import FactSignal


def announce[F](signal: FactSignal[F], fact: F) -> None:
    """Send a fact once the transaction is committed; a receiver that raises is logged and undoes nothing."""
    transaction.on_commit(partial(signal.announce, fact))
