"""Addresses under ``/api/v1/auth/``."""

from django.urls import path

from accounts.api import views

app_name = "accounts_api"
urlpatterns = [
    path("register", views.RegisterView.as_view(), name="register"),
    path("verify-email", views.VerifyEmailView.as_view(), name="verify-email"),
    path("verify-email/resend", views.ResendVerificationView.as_view(), name="resend-verification"),
    path("login", views.LoginView.as_view(), name="login"),
    path("refresh", views.RefreshView.as_view(), name="refresh"),
    path("reauthenticate", views.ReauthenticateView.as_view(), name="reauthenticate"),
    path("logout", views.LogoutView.as_view(), name="logout"),
    path("logout-all", views.LogoutAllView.as_view(), name="logout-all"),
    path("password/change", views.ChangePasswordView.as_view(), name="change-password"),
    path("password/reset", views.RequestPasswordResetView.as_view(), name="request-password-reset"),
    path("password/reset/confirm", views.ResetPasswordView.as_view(), name="reset-password"),
    path("email/change", views.ChangeEmailView.as_view(), name="change-email"),
    path("email/change/confirm", views.ConfirmEmailView.as_view(), name="confirm-email"),
    path("me", views.MeView.as_view(), name="me"),
    path("sessions", views.SessionListView.as_view(), name="sessions"),
    path("sessions/<uuid:session_id>", views.SessionView.as_view(), name="session"),
    path("export", views.ExportView.as_view(), name="export"),
    path("security-events", views.SecurityEventListView.as_view(), name="security-events"),
]
