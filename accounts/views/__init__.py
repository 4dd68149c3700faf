"""Pages of accounts: signing up and in, and what people see and change of their own account.

All of them work without scripts. What changes something is a form sent by POST and answered with a redirect.
"""

from accounts.views.pages import OwnPage, PlainPage
from accounts.views.passwords import ChangePasswordView, RequestPasswordResetView, ResetPasswordView
from accounts.views.profile import ChangeEmailView, ConfirmEmailView, DeleteAccountView, ExportView, ProfileView
from accounts.views.registration import RegisterView, ResendVerificationView, VerifyEmailView
from accounts.views.security_events import SecurityEventsView
from accounts.views.sessions import EndAllSessionsView, EndOtherSessionsView, EndSessionView, SessionsView
from accounts.views.signing_in import LoginView, LogoutView, ReauthenticateView

__all__ = [
    "ChangeEmailView",
    "ChangePasswordView",
    "ConfirmEmailView",
    "DeleteAccountView",
    "EndAllSessionsView",
    "EndOtherSessionsView",
    "EndSessionView",
    "ExportView",
    "LoginView",
    "LogoutView",
    "OwnPage",
    "PlainPage",
    "ProfileView",
    "ReauthenticateView",
    "RegisterView",
    "RequestPasswordResetView",
    "ResendVerificationView",
    "ResetPasswordView",
    "SecurityEventsView",
    "SessionsView",
    "VerifyEmailView",
]
