"""Single objects of any model, by the label of the model and their key."""

from collections.abc import Iterable

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db.models import BigIntegerField, Model


def is_model(label: str) -> bool:
    """Say whether a text such as ``accounts.user`` names a model."""
    try:
        options = apps.get_model(label)._meta  # noqa: SLF001 - Django's documented way to a model's options
    except (LookupError, ValueError):
        return False
    return options.managed and not options.swapped  # another model's rows stand in for those of a swapped one


def find_objects(names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Model]:
    """Return the rows that pairs of model and key name, with one query for each model; missing ones are left out.

    Raises:
        LookupError: A label names no model.
    """
    by_model: dict[type[Model], dict[object, list[tuple[str, str]]]] = {}
    for name in names:
        model = apps.get_model(name[0])
        try:
            key = model._meta.pk.to_python(name[1])  # noqa: SLF001 - Django's documented way to a model's fields
        except (ValidationError, ValueError, TypeError):
            continue
        if isinstance(key, int) and abs(key) > BigIntegerField.MAX_BIGINT:
            continue
        by_model.setdefault(model, {}).setdefault(key, []).append(name)
    found: dict[tuple[str, str], Model] = {}
    for model, by_key in by_model.items():
        for row in model._default_manager.filter(pk__in=list(by_key)):  # noqa: SLF001 - Django's documented name of it
            found |= dict.fromkeys(by_key[row.pk], row)
    return found
