"""Background jobs: dispatch, drivers, workers, failed jobs."""
