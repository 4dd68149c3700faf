"""Teams, and what they write."""

from uuid import uuid4

from django.conf import settings
from django.db import models

from permissions.managers import PermittedQuerySet


class Team(models.Model):
    name = models.CharField(max_length=100)

    objects = PermittedQuerySet["Team"].as_manager()

    def __str__(self) -> str:
        return self.name


class Article(models.Model):
    title = models.CharField(max_length=100)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, null=True)

    objects = PermittedQuerySet["Article"].as_manager()

    def __str__(self) -> str:
        return self.title


class Note(models.Model):
    """Belongs to no team, and its key is a UUID."""

    id = models.UUIDField(primary_key=True, default=uuid4)
    text = models.CharField(max_length=100)

    objects = PermittedQuerySet["Note"].as_manager()

    def __str__(self) -> str:
        return self.text
