"""Addresses of the pages, below those of the admin."""

from django.urls import path

from jobs.dashboard import batches, job, lists, overview

app_name = "dashboard"
urlpatterns = [
    path("", overview.overview, name="overview"),
    path("queues/pause/", overview.pause, name="pause"),
    path("queues/resume/", overview.resume, name="resume"),
    path("workers/", overview.workers, name="workers"),
    path("workers/tell/", overview.tell, name="tell"),
    path("metrics/", overview.metrics, name="metrics"),
    path("find/", lists.find, name="find"),
    path("list/retry/", lists.retry_selected, name="retry-selected"),
    path("list/discard/", lists.discard_selected, name="discard-selected"),
    path("list/proceed/", lists.proceed, name="proceed"),
    path("list/<slug:status>/", lists.list_of_jobs, name="list"),
    path("list/<slug:status>/<slug:steer>/", lists.confirm, name="confirm"),
    path("job/<uuid:job_id>/", job.job, name="job"),
    path("job/<uuid:job_id>/retry/", job.retry, name="retry"),
    path("job/<uuid:job_id>/discard/", job.discard, name="discard"),
    path("job/<uuid:job_id>/cancel/", job.cancel, name="cancel"),
    path("batches/", batches.batches, name="batches"),
    path("batches/<uuid:batch_id>/", batches.batch, name="batch"),
    path("batches/<uuid:batch_id>/cancel/", batches.cancel, name="cancel-batch"),
    path("batches/<uuid:batch_id>/retry/", batches.retry, name="retry-batch"),
    path("schedules/", batches.schedules, name="schedules"),
    path("schedules/<int:schedule_id>/<slug:change>/", batches.change_schedule, name="change-schedule"),
]
