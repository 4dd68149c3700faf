"""The peers as programs: what their workers import, and, run as a script, what sends their jobs."""
