"""The page that shows which role permits what, and changes it by ticking."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from permissions import conf, registrar, services
from permissions.inlines import get_actor
from permissions.models import Permission, Role
from permissions.selectors import list_permissions
from permissions.snapshots import Names
from project.exceptions import DomainError

if TYPE_CHECKING:
    RoleModelAdmin = admin.ModelAdmin[Role]

#: (role, permission), by their keys.
type Cell = tuple[int, int]

_ROWS: Final = 40
_COLUMNS: Final = 10
_MAX_TEXT: Final = 100


def show_matrix(model_admin: "RoleModelAdmin", request: HttpRequest) -> HttpResponse:
    """Show a part of the table, or change what was ticked and unticked in it since it was shown.

    What others changed meanwhile stays as they left it.

    Raises:
        PermissionDenied: The member of staff may not see roles, or change them.
        ValueError: A cell is none.
    """
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    guard, text = request.GET.get("guard", conf.get().default_guard), request.GET.get("q", "")[:_MAX_TEXT].strip()
    chosen = request.GET.get("role", "")[:_MAX_TEXT].strip()
    roles = Role.objects.filter(guard=guard, name__icontains=chosen).select_related("group")
    columns = Paginator(roles, _COLUMNS).get_page(request.GET.get("roles"))
    rows = Paginator(list_permissions(guard=guard if guard in conf.get().guards else None, text=text), _ROWS).get_page(
        request.GET.get("page")
    )
    ticked = None
    if request.method == "POST":
        if not model_admin.has_change_permission(request):
            raise PermissionDenied
        ticked = _read_cells(request.POST.getlist("cell"))
        try:
            count = _change(request, ticked, _read_cells(request.POST.get("was", "").split()))
        except DomainError as error:
            model_admin.message_user(request, f"Nothing was changed. {error.message}", messages.ERROR)
        else:
            said = f"Changed: {count}." if count else "There was nothing to change."
            model_admin.message_user(request, said, messages.SUCCESS)
            return HttpResponseRedirect(request.get_full_path())
    held = _find_held(columns)
    reached = registrar.list_current_names([role.pk for role in columns])
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Roles and permissions",
        "opts": Role._meta,  # noqa: SLF001 - as Django's own templates want it
        "roles": columns,
        "permissions": rows,
        "lines": [(one, _list_cells(one, columns, held, reached, ticked)) for one in rows],
        "was": " ".join(f"{role}:{permission}" for role, permission in sorted(_cut(held, columns, rows))),
        "can_change": model_admin.has_change_permission(request),
        "guard": guard,
        "guards": conf.get().guards,
        "q": text,
        "role": chosen,
        "address": reverse("admin:permissions_role_matrix"),
    }
    return TemplateResponse(request, "admin/permissions/role/matrix.html", context)


def _read_cells(texts: Iterable[str]) -> set[Cell]:
    """Return the cells that texts such as ``5:17`` mean.

    Raises:
        ValueError: One of them is none.
    """
    cells: set[Cell] = set()
    for text in texts:
        role, permission = text.split(":")
        cells.add((int(role), int(permission)))
    return cells


def _find_held(roles: Page[Role]) -> set[Cell]:
    """Return what the roles permit themselves."""
    rows = Group.permissions.through.objects.filter(group__in=[role.pk for role in roles]).values_list(
        "group_id", "permission_id"
    )
    return set(rows)


def _cut(held: set[Cell], roles: Page[Role], permissions: Page[Permission]) -> set[Cell]:
    """Return those of the cells that are shown."""
    keys = {role.pk for role in roles}, {permission.pk for permission in permissions}
    return {cell for cell in held if cell[0] in keys[0] and cell[1] in keys[1]}


def _list_cells(
    permission: Permission,
    roles: Page[Role],
    held: set[Cell],
    reached: Mapping[int, Names],
    ticked: set[Cell] | None,
) -> list[dict[str, object]]:
    """Return what a line shows for each role."""
    cells: list[dict[str, object]] = []
    for role in roles:
        cell = (role.pk, permission.pk)
        is_held = cell in held
        cells.append(
            {
                "key": f"{role.pk}:{permission.pk}",
                "role": role,
                "is_ticked": is_held if ticked is None else cell in ticked,
                "is_inherited": not is_held and permission.identifier in reached[role.pk].exact,
            }
        )
    return cells


def _change(request: HttpRequest, ticked: set[Cell], was: set[Cell]) -> int:
    """Give what was ticked and take what was unticked; return how many cells that were."""
    cells = ticked ^ was
    roles = Role.objects.in_bulk({role for role, _ in cells})
    permissions = Permission.objects.in_bulk({permission for _, permission in cells})
    given: dict[Role, list[Permission]] = {}
    taken: dict[Role, list[Permission]] = {}
    for role, permission in sorted(cells):
        if role in roles and permission in permissions:
            changed = given if (role, permission) in ticked else taken
            changed.setdefault(roles[role], []).append(permissions[permission])
    services.change_role_permissions(given=given, taken=taken, changed_by=get_actor(request))
    return sum(len(some) for changes in (given, taken) for some in changes.values())
