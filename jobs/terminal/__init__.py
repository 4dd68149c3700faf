"""Pages of the terminal: the dashboard of jobs, and the list of worker processes.

All text that comes from stores passes ``table.fit``, so no name can command the terminal, and none is read as markup.
"""
