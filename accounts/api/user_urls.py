"""Addresses of the app."""

from django.urls import URLPattern

app_name = "users_api"
urlpatterns: list[URLPattern] = []
