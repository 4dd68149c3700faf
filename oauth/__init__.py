"""The OAuth 2 authorization server: clients, grants, tokens, consent."""
