from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from accounts import tokens
from accounts.drf import ClientPrincipal, IsUser
from accounts.models import User
from permissions.drf import HasScopes
from tests.accounts.conftest import Issue

type QueryCount = Callable[[int], AbstractContextManager[object]]

pytestmark = pytest.mark.django_db

_METADATA = ', resource_metadata="http://testserver/.well-known/oauth-protected-resource"'


class ClosedView(APIView):
    """Open to users, and to no OAuth client."""

    permission_classes = [IsAuthenticated]

    def get(self, request: Request) -> Response:
        return Response(str(request.user.pk))


class ScopedView(ClosedView):
    """Opens its methods to OAuth clients by scope."""

    permission_classes = [IsAuthenticated, HasScopes(GET="profile users:read", PUT="")]

    def post(self, request: Request) -> Response:
        return Response("posted")


class UserView(ScopedView):
    """For users alone, whoever acts for them."""

    permission_classes = [IsUser & HasScopes(GET="profile users:read")]


def call(view: type[APIView], raw: str | None, method: str = "get", scheme: str = "Bearer") -> Response:
    headers = {} if raw is None else {"Authorization": f"{scheme} {raw}"}
    request = getattr(APIRequestFactory(), method)("/api/v1/any", headers=headers)
    response = view.as_view()(request)
    assert isinstance(response, Response)
    return response


def test_a_token_of_ours_opens_a_view_with_one_query_in_all(
    user: User, issue: Issue, django_assert_num_queries: QueryCount
) -> None:
    raw = issue(user.pk, session_id=uuid4())
    with django_assert_num_queries(1):
        response = call(ClosedView, raw)
    assert (response.status_code, response.data) == (200, str(user.pk))


@pytest.mark.compliance("RFC 6750", "3", "A request without credentials gets a challenge without an error code")
def test_no_token_is_answered_with_a_bare_challenge() -> None:
    response = call(ClosedView, None)
    assert (response.status_code, response["WWW-Authenticate"]) == (401, f'Bearer realm="gatehouse"{_METADATA}')


@pytest.mark.compliance("RFC 6750", "3.1", "An invalid token is answered 401 with error invalid_token")
def test_a_bad_token_is_answered_with_invalid_token() -> None:
    response = call(ClosedView, "not.a.token")
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == f'Bearer realm="gatehouse", error="invalid_token"{_METADATA}'
    assert response.data["code"] == "invalid_token"


@pytest.mark.parametrize("raw", ["", " ", "a b c", "é", "\x00", "." * 9000, "Bearer x"])
def test_odd_headers_are_answered_401(raw: str) -> None:
    assert call(ClosedView, raw).status_code == 401


def test_the_scheme_is_read_in_any_case(user: User, issue: Issue) -> None:
    assert call(ClosedView, issue(user.pk), scheme="bEARER").status_code == 200


@pytest.mark.parametrize("scheme", ["Basic", "Token", "JWT"])
def test_other_schemes_are_not_read(user: User, issue: Issue, scheme: str) -> None:
    assert call(ClosedView, issue(user.pk), scheme=scheme).status_code == 401


@pytest.mark.parametrize("kind", ["jti", "sid", "sub", "client"])
def test_a_revoked_token_is_dead_on_the_next_request(user: User, issue: Issue, kind: tokens.RevocationKind) -> None:
    session_id, jti, now = uuid4(), uuid4(), timezone.now()
    raw = issue(user.pk, session_id=session_id, jti=jti, now=now)
    subjects = {"jti": str(jti), "sid": str(session_id), "sub": str(user.pk), "client": "gatehouse"}
    assert call(ClosedView, raw).status_code == 200
    tokens.revoke_access_tokens(kind=kind, subject=subjects[kind], now=now, expires_at=now + timedelta(hours=1))
    assert call(ClosedView, raw).status_code == 401


def test_a_deactivated_user_is_out_on_the_next_request(user: User, issue: Issue) -> None:
    raw = issue(user.pk)
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert call(ClosedView, raw).status_code == 401


@pytest.mark.compliance("ASVS 5.0", "7.4.2", "Deleting an account ends all its sessions")
def test_a_deleted_user_is_out_on_the_next_request(user: User, issue: Issue) -> None:
    raw = issue(user.pk)
    user.delete()
    assert call(ClosedView, raw).status_code == 401


@pytest.mark.parametrize("subject", ["admin", "1", "\x00", "' OR 1=1 --", "00000000-0000-0000-0000-000000000000"])
def test_a_subject_that_is_no_user_is_refused(issue: Issue, subject: str) -> None:
    assert call(ClosedView, issue(subject)).status_code == 401


def test_a_view_that_lists_no_scopes_is_closed_to_oauth(user: User, issue: Issue) -> None:
    response = call(ClosedView, issue(user.pk, client_id="app", scope=["profile", "users:read"]))
    assert (response.status_code, response.data["code"]) == (403, "insufficient_scope")


def test_a_method_that_lists_no_scopes_is_closed_to_oauth(user: User, issue: Issue) -> None:
    raw = issue(user.pk, client_id="app", scope=["profile", "users:read"])
    assert call(ScopedView, raw, "post").status_code == 403


@pytest.mark.parametrize("method", ["get", "head"])
def test_a_token_with_all_listed_scopes_opens_the_view(user: User, issue: Issue, method: str) -> None:
    raw = issue(user.pk, client_id="app", scope=["profile", "users:read", "roles:read"])
    assert call(ScopedView, raw, method).status_code == 200


@pytest.mark.compliance("RFC 6750", "3.1", "A token with too few scopes is answered 403 insufficient_scope")
def test_a_token_that_lacks_a_scope_is_told_which(user: User, issue: Issue) -> None:
    response = call(ScopedView, issue(user.pk, client_id="app", scope=["profile"]))
    assert response.status_code == 403
    assert 'error="insufficient_scope", scope="users:read"' in response["WWW-Authenticate"]


def test_an_oauth_token_without_a_scope_claim_holds_no_scope(user: User, issue: Issue) -> None:
    assert call(ScopedView, issue(user.pk, client_id="app")).status_code == 403


def test_a_first_party_token_with_a_scope_is_held_to_it(user: User, issue: Issue) -> None:
    assert call(ScopedView, issue(user.pk, scope=["profile"])).status_code == 403


def test_a_token_for_a_user_of_a_superuser_is_still_held_to_its_scope(issue: Issue) -> None:
    root = User.objects.create_superuser("root@example.com", "x")
    assert call(ScopedView, issue(root.pk, client_id="app", scope=["profile"])).status_code == 403


def test_a_client_acts_for_itself_without_rights(issue: Issue, django_assert_num_queries: QueryCount) -> None:
    raw = issue("app", client_id="app", scope=["profile", "users:read"])
    tokens.read_access_token(raw, now=timezone.now())
    with django_assert_num_queries(1):
        response = call(ScopedView, raw)
    assert (response.status_code, response.data) == (200, "None")


def test_a_revoked_client_is_out_on_the_next_request(issue: Issue) -> None:
    now = timezone.now()
    raw = issue("app", client_id="app", scope=["profile", "users:read"], now=now)
    tokens.revoke_access_tokens(kind="client", subject="app", now=now, expires_at=now + timedelta(hours=1))
    assert call(ScopedView, raw).status_code == 401


def test_a_client_without_scope_claim_gets_nowhere(issue: Issue) -> None:
    assert call(ClosedView, issue("gatehouse")).status_code == 403


def test_a_view_for_users_is_closed_to_clients(user: User, issue: Issue) -> None:
    scope = ["profile", "users:read"]
    assert call(UserView, issue("app", client_id="app", scope=scope)).status_code == 403
    assert call(UserView, issue(user.pk, client_id="app", scope=scope)).status_code == 200


def test_a_client_has_no_permission() -> None:
    client = ClientPrincipal("app")
    assert (client.pk, client.is_authenticated, client.has_perm("accounts.view_user")) == (None, True, False)
