"""Settings: ``base`` is read by ``dev``, ``production`` and ``test``; ``environment`` reads the process environment."""
