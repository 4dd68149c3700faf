"""The project: settings, URLs, the edge of the API, health, and the commands that run the house."""
