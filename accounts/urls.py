"""Addresses of the pages, under ``/accounts/``."""

from django.urls import path

from accounts import views

app_name = "accounts"
urlpatterns = [
    path("login/", views.LoginView.as_view(), name="login"),
    path("logout/", views.LogoutView.as_view(), name="logout"),
    path("verify-email/<str:token>/", views.verify_email_page, name="verify-email"),
    path("verify-email/<str:token>", views.verify_email_page),  # no redirect, whose log line would show the token
    path("email-verified/", views.email_verified, name="email-verified"),
]
