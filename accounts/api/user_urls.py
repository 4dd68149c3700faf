"""Addresses of users under ``/api/v1/``."""

from django.urls import path

from accounts.api import views

app_name = "users_api"
urlpatterns = [path("users", views.UserListView.as_view(), name="list")]
