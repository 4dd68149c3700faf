"""How databases are reached: what the house wants of each engine beside its address."""

from typing import Any


def tune(database: dict[str, Any]) -> None:  # Any: Django's own shape of a database entry
    """Add to a database entry what its engine needs to be waited for neither too shortly nor too long."""
    if database["ENGINE"] == "django.db.backends.sqlite3":
        # IMMEDIATE takes the write lock at BEGIN, so a transaction that reads and then writes waits instead of failing;
        # WAL lets readers go on meanwhile.
        database["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        }
    elif database["ENGINE"] == "django.db.backends.postgresql":
        # A server that vanishes without a word, such as a host that loses power, is noticed within seconds: the kernel
        # would wait for a quarter of an hour for what was sent to be taken, and for an answer for two hours. How long a
        # statement takes doesn't matter. What the address says goes before.
        reached = {"connect_timeout": 5, "tcp_user_timeout": 10_000}
        probed = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
        database["OPTIONS"] = reached | probed | database.get("OPTIONS", {})
        # A dead one is noticed after these seconds, not after the pool's usual 30; and one that is back is found within
        # them: the pool would wait ever longer between two looks, in the end for minutes.
        database["OPTIONS"]["pool"] = {"min_size": 1, "max_size": 10, "timeout": 5, "reconnect_timeout": 5}
