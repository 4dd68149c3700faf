"""The worker: a loop that claims jobs, and a runner that runs one."""
