"""Pages of the terminal as processes in a terminal: keys, colours, signals, and what they cost."""

import re
import signal

import pytest
from django.utils import timezone

from tests.jobs.steps import NOON
from tests.jobs.terminal import story
from tests.jobs.terminal.terminals import terminal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.process]
PAGES = [("queue_dashboard", "Gatehouse jobs"), ("queue_top", "Gatehouse workers")]
#: A colour of the terminal: of the text 30 to 38 and 90 to 97, of the ground 40 to 48 and 100 to 107.
_COLOUR = re.compile(r"\x1b\[(?:[\d;]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;[\d;]*)?m")
_LEAVES = "\x1b[?1049l"


@pytest.mark.parametrize(("command", "head"), PAGES)
def test_a_page_is_shown_in_a_terminal_and_q_leaves_it_as_it_was(job_connection: str, command: str, head: str) -> None:
    story.tell()
    story.beat(3, age=NOON - timezone.now())  # alive now, not at noon
    with terminal(command) as opened:
        opened.wait_for("app1")
        assert head in opened.text
        assert _COLOUR.search(opened.text)
        opened.press("q")
        assert opened.wait_end() == 0
        opened.wait_for(_LEAVES)


@pytest.mark.parametrize(("command", "head"), PAGES)
def test_a_page_has_no_colours_where_nobody_wants_them(job_connection: str, command: str, head: str) -> None:
    story.tell()
    with terminal(command, NO_COLOR="1") as opened:
        opened.wait_for("app1")
        opened.press("q")
        assert opened.wait_end() == 0
        assert head in opened.text
        assert not _COLOUR.search(opened.text)


@pytest.mark.parametrize(("command", "head"), PAGES)
def test_a_page_that_is_told_to_end_leaves_the_terminal_as_it_was(job_connection: str, command: str, head: str) -> None:
    with terminal(command) as opened:
        opened.wait_for(head)
        opened.process.send_signal(signal.SIGTERM)
        opened.wait_end()
        opened.wait_for(_LEAVES)


@pytest.mark.parametrize(("command", "head"), PAGES)
def test_a_page_is_text_where_it_is_told_to_be(job_connection: str, command: str, head: str) -> None:
    story.tell()
    with terminal(command, "--once") as opened:
        assert opened.wait_end() == 0
        opened.wait_for("app1")
        assert head not in opened.text
        assert "\x1b" not in opened.text
