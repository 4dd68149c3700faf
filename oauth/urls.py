"""Addresses of the app."""

from django.urls import URLPattern

app_name = "oauth2_provider"
urlpatterns: list[URLPattern] = []
