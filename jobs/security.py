"""Jobs that guard what they are given, and whose rights they use.

::

    class RefundJob(SecureJob):
        def __init__(self, order_id: int, card_number: str) -> None:
            self.order_id = order_id
            self.card_number = card_number
            self.set_sensitive_fields(["card_number"])
            self.set_required_permissions(["refund-orders"])

        def handle(self) -> None: ...


    RefundJob(7, "4111 …").on_behalf_of(user).dispatch()

What holds against somebody who can write the store: no argument, class, queue, id, actor or priority can be changed,
and no count of tries set back, without the job going to quarantine unrun. A count that is raised looks as after workers
that died before they began; it can bring the end of the job nearer, but lets it run no more often, and a job whose end
it brings goes to quarantine. A whole earlier state of a job, count and all, can be put back.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import islice
from typing import Any, ClassVar, Final, NoReturn, Self, override

import structlog
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError

from jobs.arguments import decode_arguments, encode_arguments, list_references
from jobs.encryption import SEALED, is_sealed, seal, unseal
from jobs.exceptions import JobArgumentError, JobDefinitionError, JobRefusedError, ModelMissingError, PayloadError
from jobs.job import Job, get_job_class, get_job_name
from jobs.payload import MAX_SHOWN_ARGUMENTS, Record, get_raw_arguments, read_payload, to_shown
from jobs.redaction import redact
from permissions import audit, gate, scope
from permissions.exceptions import GuardDoesNotExist, TeamDoesNotExist, TeamsNotEnabled
from project.current_request import get_current_request
from project.logging import is_secret_key

#: Stands for a value that is not shown.
HIDDEN: Final = "••••••"
_MAX_SHOWN: Final = 200
_log = structlog.get_logger("gatehouse.jobs")


class SecureJob(Job, is_base=True):
    """A job with arguments that are secret, and with permissions that its acting user needs.

    Sensitive arguments are stored encrypted, and their values are taken out of every exception, traceback, log entry,
    tag and key of the job. Permissions are asked for at dispatch and again at each try, so that whoever lost one, or
    was deactivated, has nothing done any more. The acting user is the one of ``on_behalf_of``, otherwise the one who
    sends the current request. Refusals, dispatch and every start are in the audit log.
    """

    signs_attempts: ClassVar[bool] = True

    # --- What a constructor says; what is said later, before dispatch, travels with the job and holds as well

    def set_sensitive_fields(self, names: Iterable[str]) -> None:
        """Say which arguments are secret. A name that is no argument is an error at dispatch.

        Raises:
            JobDefinitionError: These are no names.
        """
        self.__dict__["_sensitive_fields"] = _check_names(self, names)

    def set_required_permissions(self, permissions: Iterable[str], *, obj: object = None) -> None:
        """Say which permissions the acting user needs, all of them; with an object, for that object.

        Raises:
            JobDefinitionError: These are no names.
        """
        self.__dict__["_required_permissions"] = _check_names(self, permissions)
        self.__dict__["_permission_object"] = obj

    @property
    def sensitive_fields(self) -> tuple[str, ...]:
        """Names of the arguments that are secret."""
        names: tuple[str, ...] = self.__dict__.get("_sensitive_fields", ())
        return names

    @property
    def required_permissions(self) -> tuple[str, ...]:
        """What the acting user must be allowed."""
        names: tuple[str, ...] = self.__dict__.get("_required_permissions", ())
        return names

    # --- What is secret

    @override
    def serialize(self) -> dict[str, object]:
        payload = super().serialize()
        unknown = sorted(set(self.sensitive_fields) - set(self.get_arguments()))
        if unknown:
            message = f"{type(self).__name__}: set_sensitive_fields names no argument: {', '.join(unknown)}."
            raise JobDefinitionError(message)
        return {
            name: seal(value, about=_get_purpose(type(self), name)) if name in self.sensitive_fields else value
            for name, value in payload.items()
        }

    @override
    @classmethod
    def deserialize(cls, payload: Mapping[str, object]) -> Self:
        job = super().deserialize(_unseal_all(cls, payload))
        sealed = (name for name, value in payload.items() if is_sealed(value))
        job.__dict__["_sensitive_fields"] = tuple(dict.fromkeys([*job.sensitive_fields, *sealed]))
        return job

    @override
    def get_tags(self) -> Sequence[str]:
        return list_references({k: v for k, v in self.get_arguments().items() if k not in self.sensitive_fields})

    @override
    def redact(self, text: str) -> str:
        if not self.sensitive_fields:
            return text
        arguments = self.get_arguments()
        return redact(text, [_to_plain(arguments[name]) for name in self.sensitive_fields if name in arguments])

    # --- Who may

    @override
    def authorize_dispatch(self) -> None:
        """Refuse to be sent where the acting user lacks a permission.

        Raises:
            JobArgumentError: The object of the permissions can't be stored.
            JobRefusedError: It does, or there is nobody.
        """
        if not self.actor_id:
            self.__dict__["actor_id"] = _get_request_user_id()
        held = self.actor_scope
        if held is None:
            held = {"guard": scope.get_guard(), "team": scope.get_team()}
        held = {**held, "required": self._encode_required()}
        self.__dict__["actor_scope"] = {name: value for name, value in held.items() if value is not None} or None
        self._authorize("dispatch")

    @override
    def authorize_run(self) -> None:
        """Refuse to run where the acting user lacks a permission by now; otherwise note that it starts.

        Raises:
            JobRefusedError: It does, or is gone.
        """
        actor = self._authorize("run")
        _record("job.started", self, actor, attempt=self.attempts)

    def _authorize(self, step: str) -> AbstractBaseUser | None:
        actor = _find_user(self.actor_id)
        required = self._list_required()
        if not required:
            return actor
        if actor is None:
            self._refuse(step, None, "the acting user is gone" if self.actor_id else "there is no acting user")
        if not actor.is_active:
            self._refuse(step, actor, "the acting user is inactive")
        if lacking := self._list_lacking(actor, required):
            self._refuse(step, actor, "permissions are lacking", lacking)
        return actor

    def _encode_required(self) -> dict[str, object] | None:
        """Return what is required, as it travels; None where nothing is."""
        if not self.required_permissions:
            return None
        obj = encode_arguments({"object of set_required_permissions": self.__dict__.get("_permission_object")})
        return {"permissions": list(self.required_permissions), "object": next(iter(obj.values()))}

    def _list_required(self) -> list[tuple[str, object]]:
        """Return each permission with its object: those of the constructor, and those that were said at dispatch."""
        own = [(name, self.__dict__.get("_permission_object")) for name in self.required_permissions]
        sent = (self.actor_scope or {}).get("required")
        if sent is None or sent == self._encode_required():
            return own
        obj = decode_arguments({"object": sent["object"]})["object"]
        return own + [(name, obj) for name in sent["permissions"]]

    def _list_lacking(self, actor: AbstractBaseUser, required: Sequence[tuple[str, object]]) -> list[str]:
        held = self.actor_scope or {}
        try:
            with ExitStack() as stack:
                stack.enter_context(scope.use_guard(held.get("guard")))
                if held.get("team") is not None or scope.get_team() is not None:
                    stack.enter_context(scope.use_team(held.get("team")))
                return [name for name, obj in required if not gate.can(actor, name, obj)]
        except (GuardDoesNotExist, TeamDoesNotExist, TeamsNotEnabled):  # what held at dispatch is no more
            return [name for name, _obj in required]

    def _refuse(self, step: str, actor: AbstractBaseUser | None, reason: str, lacking: Sequence[str] = ()) -> NoReturn:
        name = get_job_name(type(self))
        _log.warning("job_refused", job_class=name, job_id=str(self.job_id), step=step, reason=reason)
        _record("job.refused", self, actor, step=step, reason=reason, lacking=sorted(lacking))
        raise JobRefusedError.because(name, reason, lacking)


def list_sealed_values(record: Record) -> list[object]:
    """Return what the sensitive arguments of a record hold; nothing where they can't be opened, or it has none."""
    job_class = get_job_class(record.job_class)
    if job_class is None or not issubclass(job_class, SecureJob):
        return []
    try:
        opened = _unseal_all(job_class, record.arguments)
    except PayloadError:
        return []
    return [_decode(value) for name, value in opened.items() if is_sealed(record.arguments[name])]


def describe_arguments(payload: str, *, job_class: str) -> dict[str, str]:
    """Return the arguments of a stored record for people, by name: JSON, without whatever is secret, and cut.

    Anybody may have written the record. Hidden are values that are sealed or whose names say that they are secret; and
    all of encrypted jobs, of classes that nobody knows, and of secure jobs whose record can't be trusted.
    """
    arguments = dict(islice(get_raw_arguments(payload).items(), MAX_SHOWN_ARGUMENTS))
    redactor = _find_redactor(payload, get_job_class(job_class))
    return {to_shown(name, _MAX_SHOWN): _describe(name, value, redactor) for name, value in arguments.items()}


def _find_redactor(payload: str, job_class: type[Job] | None) -> Callable[[str], str] | None:
    """Return what takes secrets out of the values of a record; None where all of them are to be hidden."""
    if job_class is None or job_class.encrypted:
        return None
    if not issubclass(job_class, SecureJob):
        return str
    try:
        record = read_payload(payload)
    except PayloadError:
        return None
    return partial(redact_record, record) if record.job_class == get_job_name(job_class) else None


def _describe(name: str, value: object, redactor: Callable[[str], str] | None) -> str:
    if redactor is None or name == SEALED or is_secret_key(name):
        return HIDDEN
    try:
        shown = _hide(value)
        text = json.dumps(shown, ensure_ascii=False)
    except (RecursionError, ValueError):
        return HIDDEN
    return HIDDEN if shown == HIDDEN else to_shown(redactor(text), _MAX_SHOWN)


def _hide(value: object) -> object:
    """Return a JSON value without what is secret inside of it."""
    match value:
        case dict():
            if SEALED in value:
                return HIDDEN
            return {name: HIDDEN if is_secret_key(name) else _hide(inner) for name, inner in value.items()}
        case list():
            return [_hide(inner) for inner in value]
        case _:
            return value


def redact_record(record: Record, text: str) -> str:
    """Return a text without the sensitive values of a record, and without texts whose names say that they are such."""
    return redact(text, [*list_sealed_values(record), *_list_named_secrets(record.arguments)])


def _list_named_secrets(value: object, *, is_secret: bool = False) -> Iterator[str]:
    match value:
        case Mapping() if SEALED not in value:
            for name, inner in value.items():
                yield from _list_named_secrets(inner, is_secret=is_secret or is_secret_key(str(name)))
        case list() | tuple():
            for inner in value:
                yield from _list_named_secrets(inner, is_secret=is_secret)
        case str() if is_secret:
            yield value


def _check_names(job: Job, names: Iterable[str]) -> tuple[str, ...]:
    found: tuple[object, ...] = () if isinstance(names, str) else tuple(names)
    named = tuple(dict.fromkeys(name for name in found if isinstance(name, str) and name))
    if isinstance(names, str) or len(named) < len(set(found)):
        message = f"{type(job).__name__}: a list of names is needed."
        raise JobDefinitionError(message)
    return named


def _get_purpose(job_class: type[Job], name: str) -> str:
    """Return what a value is sealed for; to which job it belongs, the signature of the record says."""
    return f"{get_job_name(job_class)}.{name}"


def _unseal_all(job_class: type[Job], payload: Mapping[str, object]) -> dict[str, object]:
    return {
        name: unseal(value, about=_get_purpose(job_class, name)) if is_sealed(value) else value
        for name, value in payload.items()
    }


def _decode(value: object) -> object:
    """Return a value of a record as the job would have had it; as it stands where that can't be made any more."""
    try:
        return _to_plain(decode_arguments({"value": value})["value"])
    except (JobArgumentError, ModelMissingError):
        return value


def _to_plain(value: object) -> object:
    """Return a row of a model as its key and its text, both of which would tell which one it is."""
    return [value.pk, str(value)] if hasattr(value, "pk") and hasattr(value, "_meta") else value


def _get_request_user_id() -> str:
    request = get_current_request()
    key = getattr(getattr(request, "user", None), "pk", None)
    return "" if key is None else str(key)


def _find_user(key: str) -> AbstractBaseUser | None:
    """Return a user as it is stored now."""
    if not key:
        return None
    try:
        found: AbstractBaseUser | None = get_user_model()._default_manager.filter(pk=key).first()  # noqa: SLF001 - Django's documented name of it
    except (ValueError, ValidationError):
        return None
    return found


def _record(event: str, job: Job, actor: AbstractBaseUser | None, **data: Any) -> None:  # Any: JSON
    doer = actor or (audit.Reference.to(get_user_model(), job.actor_id) if job.actor_id else None)
    subject = audit.Reference("jobs.job", job.job_id, get_job_name(type(job)))
    audit.record(event, actor=doer, subject=subject, **data)
