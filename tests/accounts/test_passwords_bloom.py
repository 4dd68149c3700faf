"""The file of breached passwords: never wrong about what is in it, seldom about the rest, and never half written."""

import gzip
import hashlib
import io
import json
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from hypothesis import given
from hypothesis import strategies as st

from accounts.passwords.bloom import BloomFilter, BrokenFilterError, build

PASSWORDS = ["correct horse battery", "größe €🦊", " spaces ", "hunter2"]


def sha1(password: str) -> bytes:
    return hashlib.sha1(password.encode(), usedforsecurity=False).digest()


def digests(numbers: Iterable[int]) -> Iterable[bytes]:
    return (sha1(str(number)) for number in numbers)


def write_filter(path: Path, *, entries: int, false_positives: float = 1e-6) -> BloomFilter:
    """Write and open a filter of the numbers from 0."""
    build(path, read_digests=lambda: digests(range(entries)), entries=entries, false_positives=false_positives)
    return BloomFilter(path)


def run(*arguments: object) -> dict[str, object]:
    """Call the command and return what it says."""
    output = io.StringIO()
    call_command("build_breached_passwords", *map(str, arguments), "--json", stdout=output)
    said: dict[str, object] = json.loads(output.getvalue())
    return said


@given(
    members=st.sets(st.binary(min_size=20, max_size=20), min_size=1, max_size=50),
    false_positives=st.floats(min_value=1e-9, max_value=0.1),
)
def test_what_is_in_the_set_is_always_found(
    tmp_path_factory: pytest.TempPathFactory, members: set[bytes], false_positives: float
) -> None:
    path = tmp_path_factory.getbasetemp() / "always.bloom"
    build(path, read_digests=lambda: members, entries=len(members), false_positives=false_positives)
    found = BloomFilter(path)
    assert all(member in found for member in members)


@pytest.mark.parametrize("entries", [100, 20_000])
@pytest.mark.parametrize("false_positives", [0.05, 0.005])
def test_what_is_not_is_taken_for_it_as_seldom_as_was_asked(
    tmp_path: Path, entries: int, false_positives: float
) -> None:
    found = write_filter(tmp_path / "f", entries=entries, false_positives=false_positives)
    tries = 40_000
    wrong = sum(digest in found for digest in digests(range(entries, entries + tries)))
    assert false_positives / 2 < wrong / tries < false_positives * 2


def test_at_the_usual_rate_hardly_anything_is_taken_for_it(tmp_path: Path) -> None:
    found = write_filter(tmp_path / "f", entries=10_000)
    assert sum(digest in found for digest in digests(range(10_000, 110_000))) <= 2
    assert (tmp_path / "f").stat().st_size < 10_000 * 3.7


@pytest.mark.parametrize("first", ["", "\ufeff"], ids=["plain", "with a mark"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["unix", "windows"])
@pytest.mark.parametrize("is_gzipped", [False, True], ids=["as it is", "gzipped"])
def test_a_list_of_passwords_becomes_a_filter(tmp_path: Path, first: str, end: str, is_gzipped: bool) -> None:
    content = (first + end.join([*PASSWORDS, "", ""])).encode()
    (tmp_path / "list").write_bytes(gzip.compress(content) if is_gzipped else content)
    said = run(tmp_path / "list", "--output", tmp_path / "f")
    found = BloomFilter(tmp_path / "f")
    assert all(sha1(password) in found for password in PASSWORDS)
    assert (said["kind"], said["entries"]) == ("passwords", 4)
    assert said["bytes"] == (tmp_path / "f").stat().st_size


@pytest.mark.parametrize("line", ["{}:{}", "{}"], ids=["with counts", "without counts"])
@pytest.mark.parametrize("is_upper", [False, True], ids=["lower", "upper"])
def test_a_list_of_digests_in_any_order_becomes_a_filter(tmp_path: Path, line: str, is_upper: bool) -> None:
    names = [sha1(password).hex() for password in PASSWORDS]
    lines = [line.format(name.upper() if is_upper else name, 7) for name in names]
    (tmp_path / "list").write_text("\n".join(lines))
    said = run(tmp_path / "list", "--output", tmp_path / "f", "--false-positives", "1e-4")
    found = BloomFilter(tmp_path / "f")
    assert all(sha1(password) in found for password in PASSWORDS)
    assert (said["kind"], said["entries"], found.false_positives) == ("SHA-1 digests", 4, 1e-4)


def test_the_command_says_in_words_what_it_wrote(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("hunter2\n")
    output = io.StringIO()
    call_command("build_breached_passwords", str(tmp_path / "list"), output=tmp_path / "f", stdout=output)
    assert f"Wrote {tmp_path / 'f'}: 1 entries (passwords)" in output.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no such file"),
        (b"", "empty"),
        (b"\n\r\n", "empty"),
        (b"8846F7EAEE8FB117AD06BDD830B7586C:7\n", "NTLM"),
        (sha1("a").hex().encode() + b":7\nhunter2\n", "line 2"),
        (b"x" * 70_000, "line 1 is longer"),
        (gzip.compress(b"hunter2\n" * 10_000)[:-12], "unpacked"),
        (gzip.compress(b"hunter2\n")[:12] + b"\xff" * 20, "unpacked"),
    ],
    ids=["missing", "empty", "blank", "NTLM", "mixed", "one long line", "cut off", "damaged"],
)
def test_a_list_that_cannot_be_used_leaves_the_earlier_file_as_it_is(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    write_filter(folder / "f", entries=3)
    before = (folder / "f").read_bytes()
    if content is not None:
        (tmp_path / "list").write_bytes(content)
    with pytest.raises(CommandError, match=reason):
        run(tmp_path / "list", "--output", folder / "f")
    assert (folder / "f").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["f"]


@pytest.mark.parametrize("rate", ["0", "1", "-1", "1e-10", "nan", "many"])
def test_a_rate_out_of_bounds_is_refused(tmp_path: Path, rate: str) -> None:
    with pytest.raises(CommandError, match="is no rate"):
        run(tmp_path / "list", "--output", tmp_path / "f", f"--false-positives={rate}")


def test_a_folder_that_is_not_there_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("hunter2\n")
    with pytest.raises(CommandError, match="No such file or directory"):
        run(tmp_path / "list", "--output", tmp_path / "nowhere" / "f")


def test_a_list_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there were 3 digests, not 4"):
        build(tmp_path / "f", read_digests=lambda: digests(range(3)), entries=4, false_positives=0.1)
    assert not list(tmp_path.iterdir())


def test_building_takes_no_memory_for_the_list(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("".join(f"password {number:030}\n" for number in range(100_000)))  # 4 MB
    tracemalloc.start()
    try:
        run(tmp_path / "list", "--output", tmp_path / "f", "--false-positives", "0.1")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize("place", [0, 12, 40, 70], ids=["magic", "bits", "checksum", "seal"])
def test_a_damaged_header_is_noticed_when_the_file_is_opened(tmp_path: Path, place: int) -> None:
    write_filter(tmp_path / "f", entries=100)
    content = bytearray((tmp_path / "f").read_bytes())
    content[place] ^= 1
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(BrokenFilterError):
        BloomFilter(tmp_path / "f")


@pytest.mark.parametrize("size", [0, 10, 99, -1], ids=["empty", "ten bytes", "in the header", "last byte"])
def test_a_file_that_was_cut_off_is_noticed_when_it_is_opened(tmp_path: Path, size: int) -> None:
    write_filter(tmp_path / "f", entries=100)
    (tmp_path / "f").write_bytes((tmp_path / "f").read_bytes()[:size])
    with pytest.raises(BrokenFilterError):
        BloomFilter(tmp_path / "f")


def test_damaged_bits_are_noticed_when_all_is_read(tmp_path: Path) -> None:
    write_filter(tmp_path / "f", entries=100).verify()
    content = bytearray((tmp_path / "f").read_bytes())
    content[-1] ^= 1
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(BrokenFilterError, match="checksum"):
        BloomFilter(tmp_path / "f").verify()
