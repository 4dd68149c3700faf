"""A house that was started before: its first start takes longer than all that the tests do with it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.project.houses import running_house


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstStart:
    """What the first start in a folder of its own has left."""

    folder: Path
    url: str
    output: str

    def copy_to(self, folder: Path) -> Path:
        """Return that folder with a copy in it, in which the house may be started for the second time."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        (folder / "output").unlink()
        return folder


@pytest.fixture(scope="session")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> FirstStart:
    """The first start, ended in order."""
    folder = tmp_path_factory.mktemp("first-start")
    with running_house(folder) as house:
        url = house.url
    return FirstStart(folder=folder, url=url, output=(folder / "output").read_text())


@pytest.fixture
def furnished(first_start: FirstStart, tmp_path: Path) -> Path:
    """A folder of the test's own in which the house was started before."""
    return first_start.copy_to(tmp_path)
