"""Addresses of the app."""

from django.urls import URLPattern

app_name = "permissions_api"
urlpatterns: list[URLPattern] = []
