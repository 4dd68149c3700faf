"""Conditions: a value, or a function that returns one."""


def is_true(condition: object) -> bool:
    """Say whether a condition, or what it returns where it can be called, is true."""
    return bool(condition() if callable(condition) else condition)
