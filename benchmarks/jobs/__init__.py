"""How many jobs ours and others work off, and what one costs."""
