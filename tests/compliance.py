"""Pytest plugin that writes docs/compliance.md: which test shows which requirement of which specification.

``pytest tests --collect-only -q --compliance=docs/compliance.md`` (``make compliance``).
"""

import re
from collections import defaultdict
from pathlib import Path

import pytest

_HEAD = """\
# Compliance

Each requirement with the test that shows it, made from the tests' own tags by `make compliance`. The tests speak HTTP
to the server and run on SQLite and on PostgreSQL.

"Security" has what no specification numbers: attacks, in families of our own. `AZ` is against the authorization
endpoint, `TK` against the token endpoint, `JW` against tokens, `AC` against accounts and sessions, `AU` against rights
and limits. Each test plays the attack and shows that it fails. `B` and `D` are defects that were found in
django-oauth-toolkit 3.4.1 with oauthlib 4.0.1 as they come: `B` by reading and running them, `D` by attacking them with
all their guards on. Each test fails where the defect is there.
"""

#: Plans of the OpenID conformance suite: their modules are counted, and a test is named with the plan that it runs in.
PLANS = {
    "OpenID Basic OP": "oidcc-basic-certification-test-plan",
    "OpenID Config OP": "oidcc-config-certification-test-plan",
    "OpenID Form Post OP": "oidcc-formpost-basic-certification-test-plan",
    "OpenID RP-Initiated Logout OP": "oidcc-rp-initiated-logout-certification-test-plan",
}

#: What a reader may look for and won't find, and why.
NOT_SUPPORTED = {
    "RFC 6749 §4.2 implicit grant": "RFC 9700 §2.1.2 advises against it; answered with `unsupported_response_type`.",
    "RFC 6749 §2.3.1 a limit of attempts at client secrets": "A secret has 256 random bits, which no trying finds.",
    "RFC 6749 §3.1, §3.2, RFC 6750 §5.3, RFC 7009 §2, RFC 7662 §4, RFC 8414 §3, RFC 8628 §3.1, RFC 9700 §2.6 TLS": (
        "What ends it stands before the house. In production all addresses are https, and http is redirected there."
    ),
    "RFC 6750 §2.2, §2.3 tokens in forms and addresses": "RFC 9700 §4.3.2; userinfo alone takes a form.",
    "RFC 7636 §4.2 plain challenges": "RFC 9700 §2.1.1 asks for S256; answered with `invalid_request`.",
    "RFC 8414 §2.1 signed metadata": "Optional; clients read the metadata by https from the issuer.",
    "RFC 9700 §2.1, §2.1.1, §4.4.2, §4.5.3, §4.6.1, §4.7.1 state, nonce, the issuer compared": "Duties of clients.",
    "RFC 9700 §2.2.1, §4.10.1 sender-constrained access tokens": "Not yet; tokens live for ten minutes.",
    "RFC 9700 §2.5 asymmetric client authentication": "Recommended there; not yet.",
    "RFC 9700 §4.1.3 any port at the name `localhost`": (
        "RFC 8252 §7.3 speaks of the addresses, and §8.3 advises against the name; its port is compared, too."
    ),
    "RFC 9700 §4.9.1, §4.9.2 counterfeit and compromised resource servers": (
        "Tokens are for one audience and live for ten minutes; the rest is up to resource servers."
    ),
    "RFC 9700 §4.13 a reverse proxy that sanitizes headers": "The proxy's duty; the house believes trusted ones alone.",
    "RFC 9700 §4.17 in-browser communication": "There is no web_message; answers go by redirect or form.",
    "B14 faults of dynamic registration": "There is none yet. That clients have several grants is shown under B14.",
    "B19 introspection without a timeout": "The house asks no other server about tokens.",
    "OpenID Connect Core §5.3.2 signed userinfo, §6 request objects, §8.1 pairwise sub": "Not yet.",
    "OpenID Connect Core §5.4 address and phone": "The house doesn't know them.",
    "OpenID Connect Core §3.2, §3.3 implicit and hybrid flow": "RFC 9700 §2.1.2 advises against them.",
    "RFC 9126 PAR, RFC 9101 JAR, RFC 9449 DPoP, RFC 7523 private_key_jwt, RFC 8693 token exchange": "Not yet.",
    "RFC 7591 dynamic registration": "Not yet.",
    "ASVS 6.3.3 second factor": "Later; a session that waits for one opens nothing already.",
    "ASVS 6.4.3 reset with a second factor": "There is no second factor yet; a reset signs nobody in.",
    "ASVS 6.5.1 to 6.5.8 one-time codes and recovery codes": "There is no second factor yet; mailed links work once.",
    "ASVS 6.6.1 to 6.6.4 codes by another channel": "There is no second factor yet; no code can be tried.",
    "ASVS 6.2.10 no forced rotation": "Nothing here makes a password expire; there is no code that a test could show.",
    "ASVS 8.1.1, 8.1.2 documented authorization": "`docs/permissions.md`; documents are not shown by tests.",
    "ASVS 11.4.1 approved hashes": "SHA-256 and better, by review; SHA-1 only to look breached passwords up.",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--compliance", metavar="FILE", help="Write the table of shown requirements to FILE.")


def pytest_collection_finish(session: pytest.Session) -> None:
    if path := session.config.getoption("compliance"):
        Path(path).write_text(render(session.items))


def render(items: list[pytest.Item]) -> str:
    """Return the document for the collected tests."""
    rows: dict[str, set[tuple[str, str, str]]] = defaultdict(set)
    for item in items:
        for mark in item.iter_markers("compliance"):
            spec, section, requirement = (str(argument) for argument in mark.args)
            name = item.nodeid if spec in PLANS else item.nodeid.partition("[")[0]
            test = name.removeprefix("tests/").replace("::", " > ")
            rows[spec].add((section, requirement, test))
    parts = [_HEAD]
    for spec in sorted(rows):
        parts.append(f"\n## {spec}\n\n")
        if spec in PLANS:
            count = len({section for section, _, _ in rows[spec]})
            parts.append(f"Modules of `{PLANS[spec]}` that are ported as tests: {count}.\n\n")
        parts.append("| Section | Requirement | Test |\n|---|---|---|\n")
        ordered = sorted(rows[spec], key=lambda row: (_order(row[0]), row))
        parts.extend(f"| {section} | {requirement} | `{test}` |\n" for section, requirement, test in ordered)
    parts.append("\n## Not supported\n\n| What | Why |\n|---|---|\n")
    parts.extend(f"| {what} | {why} |\n" for what, why in NOT_SUPPORTED.items())
    return "".join(parts)


def _order(section: str) -> list[tuple[int, str]]:
    """Return what puts 4.10 after 4.9, and B10 after B9."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", section)]
