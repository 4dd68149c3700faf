"""Users, sign-in sessions, and the access tokens of the whole house."""
