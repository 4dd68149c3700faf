"""Drivers: where jobs are stored and how workers claim them."""
