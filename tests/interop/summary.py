"""Pytest plugin that ends a run by saying how many tests with clients of others ran, and how many didn't, and why."""

from collections import Counter
from collections.abc import Generator

import pytest

_RAN = ("passed", "failed", "error", "xfailed", "xpassed")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None]:
    """Write the line after everything else, where nobody overlooks it."""
    yield
    ran = {report.nodeid for report in _get_reports(terminalreporter, *_RAN)}
    skipped = Counter(_get_reason(report) for report in _get_reports(terminalreporter, "skipped"))
    if ran or skipped:
        reasons = " ".join(f"[{count}] {reason}" for reason, count in skipped.most_common())
        line = f"Interop: {len(ran)} run, {skipped.total()} skipped" + (f": {reasons}" if reasons else ".")
        terminalreporter.write_line(line, yellow=bool(skipped), green=not skipped)


def _get_reports(terminalreporter: pytest.TerminalReporter, *outcomes: str) -> list[pytest.TestReport]:
    """Return the reports on tests that need somebody else's program; those of the docs in that folder need none."""
    return [
        report
        for outcome in outcomes
        for report in terminalreporter.getreports(outcome)
        if report.nodeid.startswith("tests/interop/") and "house" in report.keywords
    ]


def _get_reason(report: pytest.TestReport) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    return reason.removeprefix("Skipped: ")
