"""Pages of a development installation only: the mail that was sent."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
