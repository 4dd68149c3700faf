"""Django signals that carry a typed fact."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
from django.dispatch import Signal

from project.signals import FactSignal, VetoSignal


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorOpened:
    """A door was opened."""

    door: str


FRONT = DoorOpened(door="front")


@pytest.fixture
def door_opened() -> FactSignal[DoorOpened]:
    return FactSignal[DoorOpened]()


@pytest.fixture
def door_opening() -> VetoSignal[DoorOpened]:
    return VetoSignal[DoorOpened]()


@pytest.fixture(params=[False, True], ids=["in production", "while debugging"])
def anywhere(request: pytest.FixtureRequest, settings: Any) -> None:  # Any: pytest-django's
    """Run the test twice: Django looks at the signatures of receivers only where ``DEBUG`` is on."""
    settings.DEBUG = request.param


@pytest.mark.usefixtures("anywhere")
def test_a_listener_gets_the_fact_alone(door_opened: FactSignal[DoorOpened]) -> None:
    heard: list[DoorOpened] = []

    @door_opened.listen
    def note(fact: DoorOpened) -> None:
        heard.append(fact)

    door_opened.announce(FRONT)
    note(FRONT)  # what is decorated stays a function
    assert heard == [FRONT, FRONT]


@pytest.mark.usefixtures("anywhere")
def test_an_async_listener_is_awaited(door_opened: FactSignal[DoorOpened]) -> None:
    heard: list[DoorOpened] = []

    @door_opened.listen
    async def note(fact: DoorOpened) -> None:
        heard.append(fact)

    door_opened.announce(FRONT)
    assert heard == [FRONT]


@pytest.mark.usefixtures("anywhere")
def test_a_plain_receiver_gets_signal_sender_and_fact(door_opened: FactSignal[DoorOpened]) -> None:
    heard: list[object] = []

    def note(*, signal: Signal, sender: object, **facts: object) -> None:
        heard.append((signal, sender, facts))

    door_opened.connect(note)
    door_opened.announce(FRONT)
    assert heard == [(door_opened, None, {"fact": FRONT})]


def test_a_listener_that_nobody_else_keeps_goes_on_listening(door_opened: FactSignal[DoorOpened]) -> None:
    heard: list[DoorOpened] = []
    door_opened.listen(lambda fact: heard.append(replace(fact, door="back")))
    door_opened.announce(FRONT)
    assert heard == [DoorOpened(door="back")]


def test_a_listener_is_called_once_a_fact_until_it_listens_no_more(door_opened: FactSignal[DoorOpened]) -> None:
    heard: list[DoorOpened] = []
    for _ in range(2):
        door_opened.listen(heard.append)  # another bound method each time, and equal
    door_opened.announce(FRONT)
    assert heard == [FRONT]
    assert [door_opened.unlisten(heard.append) for _ in range(2)] == [True, False]
    door_opened.announce(FRONT)
    assert heard == [FRONT]


def test_a_signal_knows_whether_anybody_may_listen(door_opened: FactSignal[DoorOpened]) -> None:
    answers = [door_opened.is_heard]
    door_opened.listen(print)
    answers.append(door_opened.is_heard)
    door_opened.unlisten(print)
    assert [*answers, door_opened.is_heard] == [False, True, False]


def test_a_listener_that_raises_is_logged_by_its_name_and_stops_nobody(
    door_opened: FactSignal[DoorOpened], caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[DoorOpened] = []

    def explode(_fact: DoorOpened) -> None:
        raise LookupError

    door_opened.listen(explode)
    door_opened.listen(heard.append)
    door_opened.announce(FRONT)
    assert heard == [FRONT]
    assert [record.name for record in caplog.records] == ["django.dispatch"]
    assert explode.__qualname__ in caplog.records[0].getMessage()


@pytest.mark.parametrize(
    ("answers", "is_allowed"),
    [
        ((), True),
        ((None, True, 0, ""), True),
        ((False,), False),
        ((True, False, None), False),
    ],
    ids=["nobody", "nobody minds", "one alone", "one of several"],
)
def test_a_veto_is_false_and_nothing_else(
    answers: tuple[object, ...], is_allowed: bool, door_opening: VetoSignal[DoorOpened]
) -> None:
    for answer in answers:
        door_opening.listen(lambda _fact, answer=answer: answer)  # type: ignore[misc]  # the default isn't inferred
    assert door_opening.allows(FRONT) is is_allowed


def test_a_listener_that_raises_prevents_nothing(door_opening: VetoSignal[DoorOpened]) -> None:
    @door_opening.listen
    def explode(_fact: DoorOpened) -> bool:
        raise LookupError

    assert door_opening.allows(FRONT)


def test_an_async_listener_may_veto(door_opening: VetoSignal[DoorOpened]) -> None:
    @door_opening.listen
    async def refuse(_fact: DoorOpened) -> bool:
        return False

    assert not door_opening.allows(FRONT)
