"""Addresses of jobs."""

from django.urls import path

from jobs import views

urlpatterns = [path("metrics", views.metrics, name="metrics")]
