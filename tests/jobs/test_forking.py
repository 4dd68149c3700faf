"""How processes of the house start."""

import subprocess
import sys

from tests.processes import ROOT, child_environment

#: Lets the system refuse a process, and tells which signals are blocked afterwards.
_REFUSED = """
import signal, sys
from jobs.worker.forking import fork

def refuse(event, _arguments):
    if event == "os.fork":
        raise BlockingIOError

sys.addaudithook(refuse)
try:
    fork(lambda _let_signals_through: 0)
except BlockingIOError:
    print(signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""


def test_signals_are_heard_where_no_process_could_be_started(db: None) -> None:
    command = [sys.executable, "-c", _REFUSED]
    done = subprocess.run(command, env=child_environment(), cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
