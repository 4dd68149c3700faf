"""What the kernel says of a socket."""

import select
import socket
import struct
from collections.abc import Iterator

import pytest

from project.sockets import has_bytes


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with socket.create_connection(listener.getsockname()) as ours:
            theirs, _ = listener.accept()
            with theirs:
                yield ours, theirs


def test_nothing_to_read_is_nothing(pair: tuple[socket.socket, socket.socket]) -> None:
    assert not has_bytes(pair[0].fileno())


def test_bytes_are_seen_and_stay(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.sendall(b"word")
    assert select_readable(ours)
    assert has_bytes(ours.fileno())
    assert ours.recv(10) == b"word"
    assert not has_bytes(ours.fileno())


def test_an_end_is_seen(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.close()
    assert select_readable(ours)
    assert has_bytes(ours.fileno())


def test_a_broken_connection_is_seen(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.close()  # with a reset
    assert select_readable(ours)
    assert has_bytes(ours.fileno())


def test_a_closed_descriptor_is_left_to_whoever_reads() -> None:
    with socket.socket() as gone:
        descriptor = gone.fileno()
    assert has_bytes(descriptor)


def select_readable(waiting: socket.socket) -> bool:
    """Wait until the kernel has something for the socket, 5 s at most."""
    return bool(select.select([waiting], [], [], 5)[0])
