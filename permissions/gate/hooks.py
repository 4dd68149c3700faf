"""What a project says about decisions of its own: hooks for all of them, and policies of models."""

from collections.abc import Callable
from typing import Any, Final, Protocol

from django.db.models import Model

from permissions import registrar

#: A hook takes the user, the ability and the object, or None; it answers True or False, or None to leave it open.
type Hook = Callable[[Any, str, Any], bool | None]  # Any: hooks name their own types


class Policy(Protocol):
    """What a class registered by ``policy`` may have; each is optional.

    ``before(user, ability)`` answers first. A method is named like the ability: for ``blog.change_post`` that is
    ``change_post`` or ``change``, with the object as second argument, or with no second argument where the ability is
    asked of the model itself; one that can't be called so isn't. ``scope(user, ability)`` returns, for lists, a ``Q``
    of the objects that the policy allows.
    """


class Hooks:
    """What was registered."""

    before: Final[list[Hook]] = []
    after: Final[list[Hook]] = []
    policies: Final[dict[type[Model], object]] = {}


def before(hook: Hook) -> Hook:
    """Register a hook that is asked before everything else."""
    Hooks.before.append(hook)
    registrar.set_has_hooks(has_hooks=True)
    return hook


def after(hook: Hook) -> Hook:
    """Register a hook that is asked where nothing else has decided."""
    Hooks.after.append(hook)
    registrar.set_has_hooks(has_hooks=True)
    return hook


def policy[Class: type](model: type[Model]) -> Callable[[Class], Class]:
    """Register a class as the policy of a model (``@policy(Post)``); see ``Policy``. The last one holds."""

    def register(policy_class: Class) -> Class:
        Hooks.policies[model] = policy_class()
        return policy_class

    return register


def forget(*hooks: object) -> None:
    """Take hooks and policy classes back; all of them where none is named. For tests."""
    for registered in (Hooks.before, Hooks.after):
        registered[:] = [one for one in registered if hooks and one not in hooks]
    for model, one in list(Hooks.policies.items()):
        if not hooks or type(one) in hooks:
            del Hooks.policies[model]
    registrar.set_has_hooks(has_hooks=bool(Hooks.before or Hooks.after))


def get_policy(model: type[Model]) -> object | None:
    """Return the policy of a model, or of the nearest model above it; None where there is none."""
    for ancestor in model.__mro__:
        if ancestor in Hooks.policies:
            return Hooks.policies[ancestor]
    return None
