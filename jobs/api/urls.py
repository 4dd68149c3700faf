"""Addresses under ``/api/v1/jobs/``."""

from django.urls import path

from jobs.api import batches, metrics, overview, queues, schedules, searching, single, steering, workers

app_name = "jobs_api"
urlpatterns = [
    path("", searching.JobListView.as_view(), name="jobs"),
    path("stats", overview.StatsView.as_view(), name="stats"),
    path("metrics", metrics.MetricsView.as_view(), name="metrics"),
    path("queues", queues.QueueListView.as_view(), name="queues"),
    path("queues/pause", queues.PauseView.as_view(), name="pause"),
    path("queues/resume", queues.ResumeView.as_view(), name="resume"),
    path("workers", workers.WorkerListView.as_view(), name="workers"),
    path("workers/<path:name>/wish", workers.WorkerWishView.as_view(), name="wish"),
    path("failed", searching.FailedListView.as_view(), name="failed"),
    path("failed/retry", steering.FailedRetryView.as_view(), name="retry-failed"),
    path("failed/discard", steering.FailedDiscardView.as_view(), name="discard-failed"),
    path("batches", batches.BatchListView.as_view(), name="batches"),
    path("batches/<uuid:batch_id>", batches.BatchView.as_view(), name="batch"),
    path("batches/<uuid:batch_id>/cancel", batches.BatchCancelView.as_view(), name="cancel-batch"),
    path("batches/<uuid:batch_id>/retry", batches.BatchRetryView.as_view(), name="retry-batch"),
    path("schedules", schedules.ScheduleListView.as_view(), name="schedules"),
    path("<uuid:job_id>", single.JobView.as_view(), name="job"),
    path("<uuid:job_id>/retry", single.JobRetryView.as_view(), name="retry-job"),
    path("<uuid:job_id>/cancel", single.JobCancelView.as_view(), name="cancel-job"),
]
