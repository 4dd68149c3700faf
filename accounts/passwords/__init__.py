"""How passwords are hashed and which are accepted.

``hashing``: one door for every hash. ``policy``: rules that need nothing but the password and its user. ``bloom``: the
file of breached passwords. ``breached``: the rule that asks that file, and ``lookup`` where the installation allows it.
"""

from accounts.passwords.breached import BreachedPasswordValidator
from accounts.passwords.hashing import Argon2idHasher
from accounts.passwords.policy import (
    ContextWordsValidator,
    MaximumLengthValidator,
    MinimumLengthValidator,
    PlainTextValidator,
    get_minimum_length,
)

__all__ = [
    "Argon2idHasher",
    "BreachedPasswordValidator",
    "ContextWordsValidator",
    "MaximumLengthValidator",
    "MinimumLengthValidator",
    "PlainTextValidator",
    "get_minimum_length",
]
