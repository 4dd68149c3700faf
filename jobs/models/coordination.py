"""What workers agree on where there is no Redis: who holds what, and how often something happened."""

from django.db import models


class Slot(models.Model):
    """A place that one owner holds; a lock is a key with a single place."""

    id = models.BigAutoField(primary_key=True)
    key = models.CharField(max_length=200)
    #: Only who names this gives the place back.
    owner = models.CharField(max_length=100)
    #: When the place is free by itself; empty: never.
    expires_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "job_slots"
        verbose_name = "lock"
        constraints = [models.UniqueConstraint(fields=["key", "owner"], name="job_slots_owner")]
        indexes = [models.Index(fields=["expires_at"], name="job_slots_expiry")]

    def __str__(self) -> str:
        return f"{self.key}: {self.owner}"


class Hit(models.Model):
    """That something with a limit happened."""

    id = models.BigAutoField(primary_key=True)
    key = models.CharField(max_length=200)
    happened_at = models.DateTimeField()
    #: When it has left the window for which it was counted.
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "job_hits"
        verbose_name = "counted event"
        indexes = [models.Index(fields=["key", "happened_at"], name="job_hits_window")]

    def __str__(self) -> str:
        return self.key


class Counter(models.Model):
    """A number that starts anew when it has not changed for a while."""

    key = models.CharField(max_length=200, primary_key=True)
    value = models.BigIntegerField(default=0)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "job_counters"
        verbose_name = "counter"

    def __str__(self) -> str:
        return self.key
