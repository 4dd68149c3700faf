"""What the engine of jobs bears: a script of faults under load, and what must hold all the while.

``python -m tests.faults --store redis --seconds 600`` lets several pools of workers, two schedulers and a producer work
on one store while workers, processes, schedulers and the store itself are killed, stopped and cut off. A ledger outside
of the store, written by the jobs themselves, says what really ran. ``invariants.py`` compares both (V1 to V14).

What stands in for what can't be done without a network of one's own:

- A partition is one of a proxy before the store. What is caught in its black hole is never heard of again on Redis; on
  PostgreSQL it arrives when the hole ends, because only the kernel (``tcp_user_timeout``) ends such a wait there, and a
  proxy, which takes in what it doesn't pass on, keeps the kernel from noticing. SQLite has no network.
- A full disk is Redis out of memory; PostgreSQL throws all its connections out; SQLite is locked by somebody else.
- SQLite has no server that could be killed, so all workers are killed at once in its place.
- A failover promotes a replica of Redis after its primary was killed. PostgreSQL is stopped at once and recovers.
- A worker whose clock is wrong needs the library of ``faketime``; where there is none the report says so.
- Power isn't cut: what the kernel has taken is on disk. ``fsync`` is on all the same.
"""
