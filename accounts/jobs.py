"""The mails of accounts, as jobs."""
