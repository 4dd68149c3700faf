"""Registration, sign-in and the users over HTTP."""

from accounts.api.views.emails import ChangeEmailView, ConfirmEmailView
from accounts.api.views.passwords import ChangePasswordView, RequestPasswordResetView, ResetPasswordView
from accounts.api.views.profile import MeView
from accounts.api.views.records import ExportView, SecurityEventListView
from accounts.api.views.registration import RegisterView, ResendVerificationView, VerifyEmailView
from accounts.api.views.sessions import LogoutAllView, LogoutView, SessionListView, SessionView
from accounts.api.views.signing_in import LoginView, ReauthenticateView, RefreshView
from accounts.api.views.users import UserListView

__all__ = [
    "ChangeEmailView",
    "ChangePasswordView",
    "ConfirmEmailView",
    "ExportView",
    "LoginView",
    "LogoutAllView",
    "LogoutView",
    "MeView",
    "ReauthenticateView",
    "RefreshView",
    "RegisterView",
    "RequestPasswordResetView",
    "ResendVerificationView",
    "ResetPasswordView",
    "SecurityEventListView",
    "SessionListView",
    "SessionView",
    "UserListView",
    "VerifyEmailView",
]
