"""The admin's table of roles and permissions, the roles on a user's page, and permissions for single objects."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Permission as DjangoPermission
from django.test import Client
from django.utils import timezone
from guardian.models import GroupObjectPermission, UserObjectPermission
from guardian.shortcuts import assign_perm
from lxml import html  # type: ignore[import-untyped] # brings no types
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import User
from permissions.models import AuditEvent, Permission, Role, RoleAssignment
from permissions.scope import use_team
from tests.articles.models import Article, Team
from tests.permissions.conftest import MakeUser

pytestmark = pytest.mark.django_db

MATRIX = "/admin/permissions/role/matrix/"


def key(name: str) -> int:
    return Permission.find_by_name(name).pk


@pytest.fixture
def root(superuser: User, client: Client) -> User:
    client.force_login(superuser)
    return superuser


@pytest.fixture
def staff(make_user: MakeUser, client: Client) -> User:
    """A member of staff who may do all with roles and see users, and hardly anything else."""
    roles = (f"permissions.{action}_role" for action in ("add", "change", "view", "delete", "assign"))
    objects = (f"guardian.{action}_{who}objectpermission" for action in ("add", "view") for who in ("user", "group"))
    staff = make_user(*roles, *objects, "accounts.view_user", "accounts.change_user", is_staff=True)
    client.force_login(staff)
    return staff


@pytest.fixture
def teams(settings: Settings) -> tuple[Team, Team]:
    settings.PERMISSIONS = {"TEAM_MODEL": "articles.Team"}
    return Team.objects.create(name="north"), Team.objects.create(name="south")


def read_cells(client: Client, **query: str) -> dict[str, bool]:
    """Return which cells of the table are ticked, by their accessible names."""
    page = html.fromstring(client.get(MATRIX, query_params=query).content.decode())
    return {
        " ".join(label.text_content().replace("·", "").split()): bool(label.xpath("input[@checked]"))
        for label in page.xpath("//td/label")
    }


def save(client: Client, *cells: str, was: str = "") -> str:
    """Post the table and return what the page says."""
    response = client.post(MATRIX, {"cell": list(cells), "was": was}, follow=True)
    assert response.status_code == 200
    return " ".join(str(message) for message in response.context["messages"])


# --- Roles and permissions -------------------------------------------------------------------------------------------


def test_the_table_shows_what_each_role_permits_and_inherits(root: User, client: Client) -> None:
    reader = Role.create("reader").give_permission_to("accounts.view_user")
    Role.create("editor").inherit_from(reader)
    cells = read_cells(client, q="accounts.view_user")
    assert cells == {"editor: accounts.view_user (inherited)": False, "reader: accounts.view_user": True}


def test_what_is_ticked_is_given_and_what_is_unticked_taken(root: User, client: Client) -> None:
    reader = Role.create("reader").give_permission_to("accounts.view_user")
    editor = Role.create("editor")
    view, add = key("accounts.view_user"), key("accounts.add_user")
    said = save(client, f"{editor.pk}:{add}", f"{editor.pk}:{view}", was=f"{reader.pk}:{view}")
    assert said == "Changed: 3."
    assert editor.get_permission_names() == ["accounts.add_user", "accounts.view_user"]
    assert reader.get_permission_names() == []
    attached = AuditEvent.objects.filter(event="permission.attached", subject_id=str(editor.pk)).get()
    assert (attached.actor_id, attached.data["permissions"]) == (
        str(root.pk),
        ["accounts.add_user", "accounts.view_user"],
    )


def test_what_others_changed_meanwhile_stays(root: User, client: Client) -> None:
    reader = Role.create("reader")
    view, add = key("accounts.view_user"), key("accounts.add_user")
    reader.give_permission_to("accounts.add_user")  # after the page was shown with nothing ticked
    save(client, f"{reader.pk}:{view}")
    assert reader.get_permission_names() == ["accounts.add_user", "accounts.view_user"]
    save(client, was=f"{reader.pk}:{view}")
    assert reader.get_permission_names() == ["accounts.add_user"]
    assert save(client, f"{reader.pk}:{add}", was=f"{reader.pk}:{add}") == "There was nothing to change."


def test_nobody_ticks_what_they_lack_and_nothing_is_half_done(staff: User, client: Client) -> None:
    reader = Role.create("reader")
    cells = f"{reader.pk}:{key('accounts.view_user')}", f"{reader.pk}:{key('accounts.delete_user')}"
    response = client.post(MATRIX, {"cell": cells, "was": ""})
    page = response.content.decode()
    assert "Nothing was changed. You can only give permissions that you hold yourself." in page
    assert reader.get_permission_names() == []
    # What was ticked is still there to be mended.
    ticked = html.fromstring(page).xpath("//td/label/input[@checked]/@value")
    assert cells[0] in ticked or cells[1] in ticked


def test_a_permission_of_another_guard_is_refused(root: User, client: Client, settings: Settings) -> None:
    settings.PERMISSIONS = {"GUARDS": ["web", "api"]}
    reader = Role.create("reader", guard="api")
    said = save(client, f"{reader.pk}:{key('accounts.view_user')}")
    assert "should use guard `api` instead of `web`" in said
    Permission.create("read", guard="api")
    assert read_cells(client, guard="api") == {"reader: read": False}


def test_the_table_can_be_seen_without_being_changed(make_user: MakeUser, client: Client) -> None:
    client.force_login(make_user("permissions.view_role", is_staff=True))
    reader = Role.create("reader")
    page = html.fromstring(client.get(MATRIX).content)
    assert page.xpath("//td//input") == page.xpath("//td//input[@disabled]")
    assert client.post(MATRIX, {"cell": f"{reader.pk}:{key('accounts.view_user')}"}).status_code == 403
    assert reader.get_permission_names() == []


def test_the_table_is_closed_to_who_may_not_see_roles(make_user: MakeUser, client: Client) -> None:
    client.force_login(make_user("accounts.view_user", is_staff=True))
    assert client.get(MATRIX).status_code == 403


@pytest.mark.parametrize("cell", ["x", "1", "1:x", "1:2:3", ":", "1:" + "9" * 5000])
def test_a_cell_that_is_none_is_a_bad_request(root: User, client: Client, cell: str) -> None:
    assert client.post(MATRIX, {"cell": cell}).status_code == 400


def test_cells_of_what_is_gone_are_passed_over(root: User, client: Client) -> None:
    assert save(client, "999999:999999") == "There was nothing to change."


def test_many_roles_and_permissions_are_shown_in_parts(
    root: User, client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(25):
        Role.create(f"role {number:02}").give_permission_to("accounts.view_user")
    with django_assert_max_num_queries(20):
        first = client.get(MATRIX)
    assert len(html.fromstring(first.content).xpath("//td/label")) == 400
    assert {"role 20: accounts.view_user"} < set(read_cells(client, roles="3", q="accounts."))
    assert read_cells(client, role="role 07", q="accounts.view_user") == {"role 07: accounts.view_user": True}
    assert "Nothing is called so." in client.get(MATRIX, {"q": "nope"}).content.decode()


def test_without_roles_the_table_says_what_to_do(root: User, client: Client) -> None:
    page = client.get(MATRIX).content.decode()
    assert "There are no roles yet." in page
    assert "/admin/permissions/role/add/" in page


def test_the_list_of_roles_leads_to_the_table_and_to_the_members(root: User, user: User, client: Client) -> None:
    reader = Role.create("reader")
    user.assign_role("reader")
    page = html.fromstring(client.get("/admin/permissions/role/").content)
    assert page.xpath("//ul[@class='object-tools']//a/@href")[0] == MATRIX
    (link,) = page.xpath("//td[contains(@class, 'field-members')]/a")
    assert link.text == "1"
    members = client.get(link.get("href")).content.decode()
    assert user.email in members
    assert f"role__group__exact={reader.pk}" in link.get("href")


def test_roles_inherit_by_the_form(root: User, client: Client) -> None:
    reader = Role.create("reader").give_permission_to("accounts.view_user")
    client.post("/admin/permissions/role/add/", {"name": "editor", "parents": [reader.pk]})
    editor = Role.find_by_name("editor")
    assert editor.has_permission_to("accounts.view_user")
    response = client.post(f"/admin/permissions/role/{reader.pk}/change/", {"name": "reader", "parents": [editor.pk]})
    assert response.context["adminform"].form.errors["parents"] == [
        "A role can't inherit from itself, directly or through others."
    ]
    client.post(f"/admin/permissions/role/{editor.pk}/change/", {"name": "editor"})
    assert not editor.parents.exists()


def test_staff_cannot_let_a_role_inherit_what_they_lack(staff: User, client: Client) -> None:
    admin = Role.create("admin").give_permission_to("accounts.delete_user")
    response = client.post("/admin/permissions/role/add/", {"name": "x", "parents": [admin.pk]})
    assert list(response.context["adminform"].form.errors) == ["parents"]
    assert Role.objects.count() == 1


def test_a_role_is_made_in_a_guard_and_a_team(root: User, client: Client, settings: Settings) -> None:
    settings.PERMISSIONS = {"GUARDS": ["web", "api"], "TEAM_MODEL": "articles.Team"}
    team = Team.objects.create(name="north")
    read = Permission.create("read", guard="api")
    data = {"name": "reader", "in_guard": "api", "in_team": str(team.pk), "permissions": [read.pk]}
    assert client.post("/admin/permissions/role/add/", data).status_code == 302
    role = Role.objects.get()
    assert (role.guard, role.team_id, role.get_permission_names()) == ("api", str(team.pk), ["read"])
    for wrong in ({"in_team": "0"}, {"in_guard": "web"}, {"in_guard": "nope"}):
        response = client.post("/admin/permissions/role/add/", data | {"name": "other"} | wrong)
        assert response.status_code == 200
    assert Role.objects.count() == 1
    page = client.get(f"/admin/permissions/role/{role.pk}/change/").content.decode()
    assert 'name="in_guard"' not in page
    assert 'name="in_team"' not in page


def test_staff_make_no_role_of_a_name_that_means_more_elsewhere(
    staff: User, client: Client, teams: tuple[Team, Team]
) -> None:
    Role.create("local", team=teams[0])
    response = client.post("/admin/permissions/role/add/", {"name": "local"})
    assert list(response.context["adminform"].form.errors) == ["name"]
    assert Role.objects.count() == 1


# --- Roles of users --------------------------------------------------------------------------------------------------


def post_user(client: Client, user: User, *rows: dict[str, object]) -> tuple[int, list[str]]:
    """Post the page of a user with these rows of roles; return the status and the fields that are wrong."""
    data: dict[str, object] = {"email": user.email, "name": user.name, "is_active": "on"}
    data |= {
        "role_assignments-TOTAL_FORMS": len(rows),
        "role_assignments-INITIAL_FORMS": sum("id" in row for row in rows),
    }
    for number, row in enumerate(rows):
        data |= {f"role_assignments-{number}-{name}": value for name, value in row.items()}
        data[f"role_assignments-{number}-user"] = str(user.pk)
    response = client.post(f"/admin/accounts/user/{user.pk}/change/", data)
    formsets = response.context["inline_admin_formsets"] if response.status_code == 200 else []
    errors = [field for one in formsets for form in one.formset.forms for field in form.errors]
    return response.status_code, errors


def test_roles_are_given_on_the_page_of_the_user(staff: User, user: User, client: Client) -> None:
    reader = Role.create("reader").give_permission_to("accounts.view_user")
    end = timezone.localtime(timezone.now() + timedelta(days=3)).replace(microsecond=0)
    row = {"role": reader.pk, "expires_at_0": end.date().isoformat(), "expires_at_1": end.time().isoformat()}
    assert post_user(client, user, row) == (302, [])
    assignment = user.role_assignments.get()
    assert (assignment.role, assignment.expires_at, assignment.granted_by) == (reader, end, staff)
    page = client.get(f"/admin/accounts/user/{user.pk}/change/").content.decode()
    (giver,) = html.fromstring(page).xpath("//tr[contains(@class, 'has_original')]/td[@class='field-granted_by']")
    assert giver.text_content().strip() == staff.email
    assert User.objects.get(pk=user.pk).has_permission_to("accounts.view_user")


def test_the_end_of_a_role_is_changed_on_the_page_of_the_user(staff: User, user: User, client: Client) -> None:
    reader = Role.create("reader")
    user.assign_role("reader", expires_at=timezone.now() + timedelta(days=3))
    row = {"id": user.role_assignments.get().pk, "role": reader.pk, "expires_at_0": "", "expires_at_1": ""}
    assert post_user(client, user, row) == (302, [])
    assert user.role_assignments.get().expires_at is None
    assert user.groups.exists()
    row |= {"id": user.role_assignments.get().pk, "expires_at_0": "2001-01-01", "expires_at_1": "00:00"}
    status, errors = post_user(client, user, row)
    assert (status, errors) == (200, ["expires_at"])


@pytest.mark.parametrize(
    "end",
    [
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2037, 10, 25, 0, 30, tzinfo=UTC),  # 2:30, which there is twice that night
    ],
    ids=["passed", "ambiguous"],
)
def test_a_role_that_could_not_be_given_so_any_more_bars_no_other_change(
    root: User, user: User, client: Client, settings: Settings, end: datetime
) -> None:
    settings.TIME_ZONE, settings.PERMISSIONS = "Europe/Berlin", {"TEAM_MODEL": "articles.Team"}
    Role.create("reader")
    user.assign_role("reader")
    RoleAssignment.objects.update(expires_at=end, team_id="of-old")
    page = html.fromstring(client.get(f"/admin/accounts/user/{user.pk}/change/").content.decode())
    fields = dict(page.get_element_by_id("user_form").fields)
    data = {name: value for name, value in fields.items() if value is not None} | {"name": "Grace"}
    assert client.post(f"/admin/accounts/user/{user.pk}/change/", data).status_code == 302
    user.refresh_from_db()
    assert (user.name, user.role_assignments.get().expires_at) == ("Grace", end)


def test_a_role_is_taken_on_the_page_of_the_user(staff: User, user: User, client: Client) -> None:
    reader = Role.create("reader")
    user.assign_role("reader")
    row = {"id": user.role_assignments.get().pk, "role": reader.pk, "DELETE": "on"}
    assert post_user(client, user, row) == (302, [])
    assert not user.role_assignments.exists()
    assert not user.groups.exists()
    assert AuditEvent.objects.get(event="role.detached").actor_id == str(staff.pk)


def test_a_role_stays_the_one_that_was_given(staff: User, user: User, client: Client) -> None:
    reader, editor = Role.create("reader"), Role.create("editor")
    user.assign_role("reader")
    row = {"id": user.role_assignments.get().pk, "role": editor.pk}
    post_user(client, user, row)
    assert user.role_assignments.get().role == reader
    assert user.get_role_names() == ["reader"]


def test_nobody_gives_a_role_that_permits_more_on_the_page_of_the_user(staff: User, user: User, client: Client) -> None:
    admin = Role.create("admin").inherit_from(Role.create("root").give_permission_to("accounts.delete_user"))
    status, errors = post_user(client, user, {"role": admin.pk})
    assert (status, len(errors)) == (200, 1)
    assert not user.role_assignments.exists()


def test_a_role_given_twice_is_a_mistake(staff: User, user: User, client: Client) -> None:
    reader = Role.create("reader")
    assert post_user(client, user, {"role": reader.pk}, {"role": reader.pk})[0] == 200
    assert not user.role_assignments.exists()


def test_who_may_not_give_roles_sees_no_way_to(make_user: MakeUser, user: User, client: Client) -> None:
    client.force_login(make_user("accounts.view_user", "accounts.change_user", is_staff=True))
    reader = Role.create("reader")
    assert b"role_assignments" not in client.get(f"/admin/accounts/user/{user.pk}/change/").content
    post_user(client, user, {"role": reader.pk})
    assert not user.role_assignments.exists()


def test_a_role_is_given_in_a_team(root: User, user: User, client: Client, teams: tuple[Team, Team]) -> None:
    reader = Role.create("reader", team=None)
    assert post_user(client, user, {"role": reader.pk, "team_id": "0"})[0] == 200
    assert post_user(client, user, {"role": reader.pk, "team_id": str(teams[0].pk)}) == (302, [])
    data = {"user": user.pk, "role": reader.pk, "team_id": str(teams[1].pk)}
    client.post("/admin/permissions/roleassignment/add/", data)
    assert {row.team_id for row in RoleAssignment.objects.all()} == {str(team.pk) for team in teams}
    own = Role.create("own", team=teams[0])
    assert post_user(client, user, {"role": own.pk, "team_id": str(teams[1].pk)})[0] == 200
    with use_team(teams[0]):
        assert User.objects.get(pk=user.pk).get_role_names() == ["reader"]


def test_what_one_may_in_a_team_opens_nothing_in_the_admin(
    make_user: MakeUser, client: Client, settings: Settings
) -> None:
    resolver = "permissions.middleware.team_from_header"
    settings.PERMISSIONS = {"TEAM_MODEL": "articles.Team", "TEAM_RESOLVER": resolver}
    team = Team.objects.create(name="north")
    local = make_user(is_staff=True)
    with use_team(team):
        local.give_permission_to("permissions.view_role", "permissions.change_role", "accounts.view_user")
    client.force_login(local)
    for path in (MATRIX, "/admin/permissions/role/", "/admin/accounts/user/"):
        assert client.get(path, headers={"X-Team": str(team.pk)}).status_code == 403


# --- Single objects --------------------------------------------------------------------------------------------------

OF_USERS = "/admin/guardian/userobjectpermission/"
OF_ROLES = "/admin/guardian/groupobjectpermission/"


def test_a_permission_for_an_object_is_given_and_taken(root: User, user: User, client: Client) -> None:
    article = Article.objects.create(title="x")
    data = {
        "user": user.pk,
        "permission_name": "articles.change_article",
        "object_name": f"articles.article:{article.pk}",
    }
    assert client.post(f"{OF_USERS}add/", data).status_code == 302
    assert user.can("articles.change_article", article)
    attached = AuditEvent.objects.get(event="permission.attached")
    assert (attached.actor_id, attached.subject_id) == (str(root.pk), str(user.pk))
    assert attached.data["object"] == f"articles.article:{article.pk}"
    grant = UserObjectPermission.objects.get()
    page = client.get(OF_USERS).content.decode()
    assert "articles.change_article" in page
    assert f"articles.article:{article.pk}" in page
    assert client.get(f"{OF_USERS}{grant.pk}/change/").status_code == 200
    client.post(f"{OF_USERS}{grant.pk}/delete/", {"post": "yes"})
    assert not user.can("articles.change_article", article)
    assert AuditEvent.objects.filter(event="permission.detached").count() == 1


def test_a_role_gets_a_permission_for_an_object(root: User, user: User, client: Client) -> None:
    article, editor = Article.objects.create(title="x"), Role.create("editor")
    user.assign_role("editor")
    data = {
        "group": editor.pk,
        "permission_name": "articles.change_article",
        "object_name": f"articles.article:{article.pk}",
    }
    assert client.post(f"{OF_ROLES}add/", data).status_code == 302
    assert User.objects.get(pk=user.pk).can("articles.change_article", article)
    assert GroupObjectPermission.objects.get().group_id == editor.pk


@pytest.mark.parametrize(
    ("permission", "name", "field"),
    [
        ("articles.change_article", "articles.article:0", "object_name"),
        ("articles.change_article", "articles.article", "object_name"),
        ("articles.change_article", "nope", "object_name"),
        ("articles.change_article", "articles.article:x", "object_name"),
        ("nope", "articles.article:{}", "permission_name"),
        ("accounts.view_user", "articles.article:{}", "permission_name"),
    ],
)
def test_what_names_nothing_is_shown_beside_its_field(
    root: User, client: Client, permission: str, name: str, field: str
) -> None:
    article = Article.objects.create(title="x")
    data = {"user": root.pk, "permission_name": permission, "object_name": name.format(article.pk)}
    response = client.post(f"{OF_USERS}add/", data)
    assert list(response.context["adminform"].form.errors) == [field]
    assert not UserObjectPermission.objects.exists()


def test_nobody_gives_for_an_object_what_they_lack(staff: User, user: User, client: Client) -> None:
    article = Article.objects.create(title="x")
    data = {
        "user": user.pk,
        "permission_name": "articles.change_article",
        "object_name": f"articles.article:{article.pk}",
    }
    response = client.post(f"{OF_USERS}add/", data)
    assert "only give permissions that you hold" in response.content.decode()
    staff.give_permission_to("articles.change_article")
    assert client.post(f"{OF_USERS}add/", data).status_code == 302


def test_grants_that_go_with_their_user_are_taken_from_nobody(user: User) -> None:
    article = Article.objects.create(title="x")
    assign_perm("articles.change_article", user, article)
    assign_perm(DjangoPermission.objects.get(codename="view_article"), user, article)
    assert AuditEvent.objects.filter(event="permission.attached").count() == 2
    user.delete()
    assert not AuditEvent.objects.filter(event="permission.detached").exists()
