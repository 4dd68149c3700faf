"""Accounts: tokens, refreshing and sign-in."""
