"""Arguments of a job's constructor as JSON: bound, checked against the annotations, encoded and decoded.

JSON's own types, ``UUID``, aware ``datetime``, ``date``, ``timedelta``, ``Decimal``, enums and rows of models can be
stored, alone and inside ``list``, ``Sequence``, ``dict`` and ``Mapping``. What JSON lacks is written as an object with
one ``$`` key, so a record can be read without its class. A row of a model travels as a reference and is read anew.
"""

from jobs.arguments.binding import bind_arguments, get_parameters
from jobs.arguments.encoding import decode_arguments, encode_arguments, list_references

__all__ = ["bind_arguments", "decode_arguments", "encode_arguments", "get_parameters", "list_references"]
