"""Addresses of the pages, under ``/accounts/``."""

from django.urls import path

from accounts import views

app_name = "accounts"
urlpatterns = [
    path("register/", views.RegisterView.as_view(), name="register"),
    path("registered/", views.PlainPage.as_view(template_name="accounts/registered.html"), name="registered"),
    path("login/", views.LoginView.as_view(), name="login"),
    path("logout/", views.LogoutView.as_view(), name="logout"),
    path("reauthenticate/", views.ReauthenticateView.as_view(), name="reauthenticate"),
    # A mailed link works without the slash too: a redirect's log line would show the token.
    path("verify-email/<str:token>/", views.VerifyEmailView.as_view(), name="verify-email"),
    path("verify-email/<str:token>", views.VerifyEmailView.as_view()),
    path(
        "email-verified/", views.PlainPage.as_view(template_name="accounts/email_verified.html"), name="email-verified"
    ),
    path("resend-verification/", views.ResendVerificationView.as_view(), name="resend-verification"),
    path(
        "verification-resent/",
        views.PlainPage.as_view(template_name="accounts/verification_resent.html"),
        name="verification-resent",
    ),
    path("reset-password/", views.RequestPasswordResetView.as_view(), name="request-password-reset"),
    path(
        "password-reset-requested/",
        views.PlainPage.as_view(template_name="accounts/password_reset_requested.html"),
        name="password-reset-requested",
    ),
    path("reset-password/<str:token>/", views.ResetPasswordView.as_view(), name="reset-password"),
    path("reset-password/<str:token>", views.ResetPasswordView.as_view()),
    path(
        "password-reset/", views.PlainPage.as_view(template_name="accounts/password_reset.html"), name="password-reset"
    ),
    path("profile/", views.ProfileView.as_view(), name="profile"),
    path("change-password/", views.ChangePasswordView.as_view(), name="change-password"),
    path("change-email/", views.ChangeEmailView.as_view(), name="change-email"),
    path("confirm-email/<str:token>/", views.ConfirmEmailView.as_view(), name="confirm-email"),
    path("confirm-email/<str:token>", views.ConfirmEmailView.as_view()),
    path("email-changed/", views.PlainPage.as_view(template_name="accounts/email_changed.html"), name="email-changed"),
    path("export/", views.ExportView.as_view(), name="export"),
    path("delete-account/", views.DeleteAccountView.as_view(), name="delete-account"),
    path(
        "account-deleted/",
        views.PlainPage.as_view(template_name="accounts/account_deleted.html"),
        name="account-deleted",
    ),
    path("sessions/", views.SessionsView.as_view(), name="sessions"),
    path("sessions/<uuid:session_id>/end/", views.EndSessionView.as_view(), name="end-session"),
    path("sessions/end-others/", views.EndOtherSessionsView.as_view(), name="end-other-sessions"),
    path("sessions/end-all/", views.EndAllSessionsView.as_view(), name="end-all-sessions"),
    path("security-events/", views.SecurityEventsView.as_view(), name="security-events"),
]
