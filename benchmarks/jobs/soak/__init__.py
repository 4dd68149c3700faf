"""A soak: ours under a steady load for an hour, to see what grows, is lost, or is left behind.

Two worker processes under one parent first drain a few thousand jobs of the mix, as fast as they can: that is the
capacity. Then a producer sends the same mix at 60 % of it, a little every 50 ms. Each job has a number, and appends it
to a file when it has ended, so that those that are lost or ended twice are known by name, apart from the store.

The mix, of a hundred jobs: 60 do nothing, 20 write to Redis, 5 are coroutines that wait for a millisecond, 3 raise once
and are retried a second later, 4 are delayed by one to four seconds, 4 make a batch (three, and the callback that they
lead to), 4 follow each other in a chain. One of two thousand fails for good, and notes its number as it fails.

Memory is what a process has to itself (USS), every few seconds. Growth is from the first tenth of the time to the last,
each by its median, once a tenth of the run, and 20 seconds at least, have passed to warm up.
"""
