"""Many requests at the same moment: one code gives one session, one refresh token one pair, and what ends them wins."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from http.cookies import SimpleCookie
from itertools import cycle, repeat

import pytest
from django.test import Client
from django.utils import timezone

from accounts.exceptions import SessionDoesNotExist
from accounts.models import RefreshToken, Session, User
from accounts.services import Proof, delete_account, open_api_session, set_password, update_profile
from oauth.exceptions import ClientDoesNotExist, InvalidClientMetadata, PersonalTokenRefused, SecretDoesNotExist
from oauth.models import AccessToken, Application, ClientSecret, Consent
from oauth.services import (
    change_client,
    create_personal_token,
    delete_client,
    end_client_secret,
    register_client,
    renew_client_secret,
    revoke_connection,
    revoke_consent,
)
from oauth.services.devices import start_device
from permissions.models import AuditEvent
from tests.accounts.racing import ROUNDS, race
from tests.oauth.flow import REDIRECT_URI, Answer, Flow, get_answer

type End = Callable[[User, Application], None]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(60 + 20 * ROUNDS)]

_CLIENT = Session.Kind.CLIENT


@pytest.fixture(params=["jwt", "opaque"])
def racer(flow: Flow, request: pytest.FixtureRequest) -> Flow:
    """A client with either kind of access token."""
    application = Application.objects.get(client_id=flow.client_id)
    application.access_token_format = request.param
    application.save()
    return flow


def _race(flow: Flow, calls: Iterable[Callable[[Flow], Answer | None]]) -> list[Answer]:
    """Let 16 programs of one client do a thing each at the same moment; return what came back over HTTP."""
    acts = iter(calls)
    done = race(lambda: next(acts)(replace(flow, program=Client())))
    return [answer for answer in done if answer is not None]


def _count_rows(application: Application) -> tuple[int, int, int]:
    is_opaque = application.access_token_format == Application.AccessTokenFormat.OPAQUE
    sessions, tokens = Session.objects.filter(kind=_CLIENT).count(), RefreshToken.objects.count()
    return sessions, tokens, AccessToken.objects.count() if is_opaque else tokens


@pytest.mark.compliance("Security", "D13", "of 16 who redeem a code at once one gets tokens, and no other row is left")
@pytest.mark.compliance("Security", "D12", "a race for a code is no error of the server")
@pytest.mark.compliance("Security", "B7", "who loses a race for a code leaves no token behind")
def test_of_simultaneous_redemptions_of_a_code_one_wins_and_the_others_leave_nothing(racer: Flow) -> None:
    application = Application.objects.get()
    for number in range(ROUNDS):
        code = racer.get_code()
        answers = sorted(_race(racer, repeat(partial(Flow.exchange, code=code))), key=lambda answer: answer.status_code)
        assert [answer.status_code for answer in answers] == [200] + [400] * 15
        assert {answer.json()["error"] for answer in answers[1:]} == {"invalid_grant"}
        assert _count_rows(application) == (number + 1, number + 1, number + 1)
        # A loser that came late enough to be a replay ends what the winner got.
        is_living = Session.objects.filter(kind=_CLIENT, revoked_at=None).exists()
        assert racer.call_api(answers[0].json()["access_token"]) == (200 if is_living else 401)
        Session.objects.filter(kind=_CLIENT).update(revoked_at=timezone.now())


@pytest.mark.compliance("Security", "B19", "no two refresh tokens of one authorization live at once")
@pytest.mark.compliance("Security", "D14", "16 refreshes at once make one successor, and none fails")
def test_simultaneous_refreshes_are_all_answered_with_the_same_pair(racer: Flow) -> None:
    application = Application.objects.get()
    token = racer.get_tokens()["refresh_token"]
    for number in range(ROUNDS):
        answers = _race(racer, repeat(partial(Flow.refresh, refresh_token=token)))
        assert {answer.status_code for answer in answers} == {200}
        pairs = {(answer.json()["access_token"], answer.json()["refresh_token"]) for answer in answers}
        assert len(pairs) == 1
        assert _count_rows(application) == (1, number + 2, number + 2)
        access_token, token = pairs.pop()
        assert racer.call_api(access_token) == 200


def test_simultaneous_refreshes_may_be_for_different_scopes(racer: Flow) -> None:
    token = racer.get_tokens(scope="profile users:read")["refresh_token"]
    for _ in range(ROUNDS):
        calls = [partial(Flow.refresh, refresh_token=token, scope=scope) for scope in ("profile", "users:read")]
        answers = _race(racer, cycle(calls))
        assert {answer.status_code for answer in answers} == {200}
        tokens = {(answer.json()["access_token"], answer.json()["scope"]) for answer in answers}
        assert len(tokens) == 2
        for access_token, scope in tokens:
            assert racer.call_api(access_token) == (200 if scope == "profile" else 403)
        assert len({answer.json()["refresh_token"] for answer in answers}) == 1
        token = answers[0].json()["refresh_token"]


def test_a_revocation_wins_against_simultaneous_refreshes(racer: Flow) -> None:
    for _ in range(ROUNDS):
        tokens = racer.get_tokens()
        revoke = partial(Flow.post, path="/oauth/revoke", token=tokens["refresh_token"])
        refresh = partial(Flow.refresh, refresh_token=tokens["refresh_token"])
        answers = _race(racer, [*[refresh] * 5, revoke, *[refresh] * 10])
        assert {answer.status_code for answer in answers} <= {200, 400}
        _check_all_dead(racer, [tokens, *(answer.json() for answer in answers if b"refresh_token" in answer.content)])


def _check_all_dead(flow: Flow, given: list[dict[str, str]]) -> None:
    for tokens in given:
        assert flow.call_api(tokens["access_token"]) == 401
        assert flow.refresh(tokens["refresh_token"]).status_code != 200
    assert not Session.objects.filter(kind=_CLIENT, revoked_at=None).exists()


def _deactivate(person: User, _: Application) -> None:
    person.is_active = False
    person.save()


def _change_password(person: User, _: Application) -> None:
    set_password(user=person, password="correct horse battery", now=timezone.now())


def _delete_person(person: User, _: Application) -> None:
    delete_account(user=person, now=timezone.now())


def _revoke_consent(_: User, application: Application) -> None:
    revoke_consent(consent=Consent.objects.get(application=application), now=timezone.now())


def _disconnect(person: User, application: Application) -> None:
    revoke_connection(user_id=person.pk, client_id=application.client_id, now=timezone.now())


def _disable_client(_: User, application: Application) -> None:
    application.is_active = False
    application.save()


def _switch_off_client(_: User, application: Application) -> None:
    change_client(application=application, changes={"is_active": False})


def _delete_client(_: User, application: Application) -> None:
    delete_client(application=application)


def _take_scope(_: User, application: Application) -> None:
    application.allowed_scopes = ["users:read"]
    application.save()


@pytest.mark.parametrize(
    "end",
    [
        *(_deactivate, _change_password, _delete_person),
        *(_revoke_consent, _disconnect, _disable_client, _switch_off_client, _delete_client),
    ],
)
def test_what_ends_all_that_a_client_has_wins_against_exchanges_under_way(end: End) -> None:
    for number in range(ROUNDS):
        person, application, flow = _let_in(number)
        held = [flow.get_tokens() for _ in range(3)]
        calls: list[Callable[[Flow], Answer]] = [
            partial(Flow.refresh, refresh_token=tokens["refresh_token"]) for tokens in held
        ]
        calls += [partial(Flow.exchange, code=code) for code in [flow.get_code() for _ in range(4)] * 3]
        answers = _race(flow, [*calls[:5], partial(_do, end, person, application), *calls[5:]])
        assert {answer.status_code for answer in answers} <= {200, 400, 401}
        _check_all_dead(flow, [*held, *(answer.json() for answer in answers if answer.status_code == 200)])


def test_a_scope_that_is_taken_away_is_gone_from_tokens_under_way() -> None:
    for number in range(ROUNDS):
        person, application, flow = _let_in(number)
        calls = [partial(Flow.exchange, code=code) for code in [flow.get_code() for _ in range(5)] * 3]
        answers = _race(flow, [*calls[:5], partial(_do, _take_scope, person, application), *calls[5:]])
        for answer in answers:
            assert answer.status_code in {200, 400}
            if "profile" in answer.json().get("scope", "").split():
                assert flow.call_api(answer.json()["access_token"]) == 401


@pytest.mark.parametrize("end", [_revoke_consent, _disconnect])
def test_what_was_allowed_before_gives_no_code_once_it_was_taken_back(end: End) -> None:
    for number in range(ROUNDS):
        person, application, flow = _let_in(number)
        flow.get_code()
        codes: list[str] = []
        calls = [partial(_open_in_silence, codes=codes)] * 15
        answers = _race(flow, [*calls[:4], partial(_do, end, person, application), *calls[4:]])
        assert {answer.status_code for answer in answers} == {302}
        assert {flow.exchange(code).status_code for code in codes} <= {400}


@pytest.mark.parametrize("access_token_format", ["jwt", "opaque"])
def test_a_client_that_is_deleted_meanwhile_gives_nobody_an_outage(access_token_format: str) -> None:
    for number in range(ROUNDS):
        person, application, flow = _let_in(number)
        Application.objects.update(access_token_format=access_token_format)
        flow.get_code()
        answers: list[Answer] = []
        calls = [partial(_come_and_go, answers=answers)] * 15
        _race(flow, [*calls[:4], partial(_do, _delete_client, person, application), *calls[4:]])
        assert {answer.status_code for answer in answers} <= {200, 302, 400, 401}
        assert not Application.objects.filter(pk=application.pk).exists()
        _check_all_dead(flow, [answer.json() for answer in answers if b"refresh_token" in answer.content])


def test_an_owner_who_goes_takes_their_client_along_while_it_is_in_use() -> None:
    for number in range(ROUNDS):
        owner = User.objects.create_user(f"owner{number}@example.com", None, email_verified_at=timezone.now())
        _, application, flow = _let_in(number)
        Application.objects.update(user=owner)
        calls = [partial(Flow.exchange, code=code) for code in [flow.get_code() for _ in range(5)] * 3]
        answers = _race(flow, [*calls[:5], partial(_do, _delete_person, owner, application), *calls[5:]])
        assert {answer.status_code for answer in answers} <= {200, 400, 401}
        assert not Application.objects.filter(pk=application.pk).exists()
        _check_all_dead(flow, [answer.json() for answer in answers if answer.status_code == 200])
        assert AuditEvent.objects.filter(event="client.deleted").count() == number + 1


def _say(act: Callable[[], object], refusals: tuple[type[Exception], ...]) -> str:
    """Do it, and say what it was refused with, if it was."""
    try:
        act()
    except refusals as refusal:
        return type(refusal).__name__
    return ""


@pytest.mark.parametrize("number", range(ROUNDS))
def test_of_simultaneous_deletions_of_a_client_one_is_done_and_recorded(number: int) -> None:
    _, application, _ = _let_in(number)
    found = iter([Application.objects.get(pk=application.pk) for _ in range(8)])
    done = race(lambda: _say(lambda: delete_client(application=next(found)), (ClientDoesNotExist,)), threads=8)
    assert sorted(done) == ["", *["ClientDoesNotExist"] * 7]
    assert AuditEvent.objects.filter(event="client.deleted").count() == 1


@pytest.mark.parametrize("number", range(ROUNDS))
def test_of_simultaneous_deletions_of_an_account_one_is_done_and_recorded(number: int) -> None:
    person, _, _ = _let_in(number)
    found = iter([User.objects.get(pk=person.pk) for _ in range(8)])
    done = race(
        lambda: _say(lambda: delete_account(user=next(found), now=timezone.now()), (SessionDoesNotExist,)),
        threads=8,
    )
    assert sorted(done) == ["", *["SessionDoesNotExist"] * 7]


@pytest.mark.parametrize("number", range(ROUNDS))
def test_what_is_done_with_a_client_that_goes_finds_that_it_is_gone(number: int) -> None:
    _, application, _ = _let_in(number)
    found = [Application.objects.get(pk=application.pk) for _ in range(3)]
    acts: list[Callable[[], object]] = [
        lambda: renew_client_secret(application=found[0]),
        lambda: end_client_secret(secret=ClientSecret.objects.get(application=found[1]), now=timezone.now()),
        lambda: start_device(application=found[1], scopes=["profile"], now=timezone.now()),
    ]
    acts.insert(number % 3, lambda: delete_client(application=found[2]))
    waiting = iter(acts)
    refusals = (ClientDoesNotExist, SecretDoesNotExist, ClientSecret.DoesNotExist)
    race(lambda: _say(next(waiting), refusals), threads=4)
    assert not Application.objects.filter(pk=application.pk).exists()


@pytest.mark.parametrize("number", range(ROUNDS))
def test_what_somebody_makes_while_they_go_goes_along_or_is_refused(number: int) -> None:
    person, _, _ = _let_in(number)
    sessions = [open_api_session(proof=Proof(person, timezone.now()), now=timezone.now()).session for _ in range(4)]
    acts: list[Callable[[], object]] = [partial(_make_token, person, session) for session in sessions]
    acts.append(lambda: register_client(name="Own", client_type="public", grant_types=[], owner=person))
    acts.append(lambda: update_profile(user=User.objects.get(pk=person.pk), name="Ada"))
    acts.insert(number % 3, lambda: delete_account(user=User.objects.get(pk=person.pk), now=timezone.now()))
    waiting = iter(acts)
    refusals = (SessionDoesNotExist, PersonalTokenRefused, InvalidClientMetadata, User.DoesNotExist)
    race(lambda: _say(next(waiting), refusals), threads=len(acts))
    assert not User.objects.filter(pk=person.pk).exists()


@pytest.mark.parametrize("number", range(ROUNDS))
def test_of_simultaneous_personal_tokens_of_one_name_one_is_made(number: int) -> None:
    person, _, _ = _let_in(number)
    sessions = [open_api_session(proof=Proof(person, timezone.now()), now=timezone.now()).session for _ in range(8)]
    waiting = iter(sessions)
    done = race(lambda: _say(partial(_make_token, person, next(waiting)), (PersonalTokenRefused,)), threads=8)
    assert sorted(done) == ["", *["PersonalTokenRefused"] * 7]


@pytest.mark.parametrize("number", range(ROUNDS))
def test_who_is_deleted_while_they_sign_in_on_the_pages_is_told_that_they_can_not(number: int) -> None:
    person = User.objects.create_user(f"racer{number}@example.com", "correct horse", email_verified_at=timezone.now())
    form = {"username": person.email, "password": "correct horse"}
    acts: list[Callable[[], object]] = [lambda: Client().post("/accounts/login/", form)] * 3
    acts.append(lambda: delete_account(user=User.objects.get(pk=person.pk), now=timezone.now()))
    waiting = iter(acts)
    race(lambda: _say(next(waiting), ()), threads=4)
    assert not User.objects.filter(pk=person.pk).exists()


def _make_token(person: User, session: Session) -> None:
    create_personal_token(
        user_id=person.pk, session_id=session.pk, name="x", scopes=["profile"], lifetime=None, now=timezone.now()
    )


def _open_in_silence(flow: Flow, *, codes: list[str]) -> Answer:
    response = _copy_browser(flow).open(prompt="none")
    if code := get_answer(response).get("code"):
        codes.append(code)
    return response


def _come_and_go(flow: Flow, *, answers: list[Answer]) -> None:
    """Get codes by what was allowed before, and exchange them at once, until the client is gone."""
    flow = _copy_browser(flow)
    for _ in range(20):
        answers.append(flow.open(prompt="none"))
        if answers[-1].status_code != 302 or "code" not in get_answer(answers[-1]):
            return
        answers.append(flow.exchange(get_answer(answers[-1])["code"]))


def _copy_browser(flow: Flow) -> Flow:
    """Return the flow with a browser for this thread alone."""
    browser = Client()
    browser.cookies = SimpleCookie(flow.browser.cookies.output(header="", sep=";"))
    return replace(flow, browser=browser)


def _do(end: End, person: User, application: Application, _: Flow) -> None:
    end(person, application)


def _let_in(number: int) -> tuple[User, Application, Flow]:
    """Return a person and a client that are new in each round; the client has one kind of tokens, then the other."""
    person = User.objects.create_user(f"racer{number}@example.com", None, email_verified_at=timezone.now())
    client = register_client(
        name="Racer",
        client_type="confidential",
        grant_types=["authorization_code", "refresh_token"],
        redirect_uris=[REDIRECT_URI],
        allowed_scopes=["profile", "users:read"],
    )
    if number % 2:
        client.application.access_token_format = Application.AccessTokenFormat.OPAQUE
        client.application.save()
    flow = Flow(client.application.client_id, client.client_secret)
    flow.browser.force_login(person)
    return person, client.application, flow
