"""Forms in which people in the admin say who gets what."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, override

from django import forms
from django.core.exceptions import BadRequest, ValidationError
from django.db.models import Model
from django.utils import timezone

from permissions import selectors, services
from permissions.exceptions import InvalidExpiry, TeamDoesNotMatch
from permissions.mixins import HasRoles
from permissions.models import Permission, Role, RoleAssignment
from project.exceptions import DomainError

if TYPE_CHECKING:
    AssignmentModelForm = forms.ModelForm[RoleAssignment]
    AssignmentModelFormSet = forms.BaseInlineFormSet[RoleAssignment, Model, AssignmentModelForm]
else:  # generic in the stubs only
    AssignmentModelForm = forms.ModelForm
    AssignmentModelFormSet = forms.BaseInlineFormSet


class RoleAssignmentForm(AssignmentModelForm):
    """Who gets which role, where and until when."""

    #: Who fills the form in.
    actor: ClassVar[HasRoles]

    class Meta:
        model = RoleAssignment
        fields = ["user", "role", "team_id", "expires_at"]
        labels: ClassVar = {"team_id": "Team", "expires_at": "Until"}
        help_texts: ClassVar = {
            "team_id": "Key of the team in which it holds; empty for all teams.",
            "expires_at": "From then on it counts for nothing; empty for ever.",
        }

    @override
    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: Django's own arguments
        """Leave role and team of what was given as they are."""
        super().__init__(*args, **kwargs)
        for name in ("role", "team_id"):
            if self.instance.pk and name in self.fields:
                self.fields[name].disabled = True

    def clean_team_id(self) -> str:
        """Refuse a team that isn't there."""
        return clean_team(self.cleaned_data["team_id"])

    def clean_expires_at(self) -> datetime | None:
        """Refuse an end that has passed."""
        end: datetime | None = self.cleaned_data["expires_at"]
        if end is not None and end <= timezone.now():
            raise ValidationError(InvalidExpiry().message)
        return end

    @override
    def clean(self) -> dict[str, object] | None:
        """Refuse what permits more than the person at the form may, and what is there already."""
        cleaned = super().clean()
        role: Role | None = self.cleaned_data.get("role")
        if role is None or "team_id" in self.errors or self.instance.pk:
            return cleaned
        # A role that one team alone can use needs no mention of it.
        team_id = self.cleaned_data["team_id"] = self.cleaned_data.get("team_id") or role.team_id
        self.instance.team_id = team_id
        if role.team_id not in {"", team_id}:
            self.add_error("team_id", TeamDoesNotMatch().message)
            return cleaned
        try:
            services.refuse_role_escalation(
                actor=self.actor, role=role, team_id=team_id, until=self.cleaned_data.get("expires_at")
            )
        except DomainError as error:
            self.add_error("role", error.message)
        user = self.cleaned_data.get("user") or self.instance.user_id
        if user and RoleAssignment.objects.filter(user=user, role=role, team_id=team_id).exists():
            raise ValidationError("That assignment already exists.")
        return cleaned


class RoleAssignmentFormSet(AssignmentModelFormSet):
    """The roles of one user, written through the services."""

    #: Who fills the forms in.
    actor: ClassVar[HasRoles]

    @override
    def add_fields(self, form: AssignmentModelForm, index: int | None) -> None:
        """Name the box that takes the role, which the column alone doesn't for everybody; and leave rows as they are.

        What was good when it was given may be none any more, such as an end that has passed; it bars no other change.
        """
        super().add_fields(form, index)
        form.empty_permitted = form.empty_permitted or bool(form.instance.pk)  # unchanged rows aren't checked
        if "DELETE" in form.fields:
            form.fields["DELETE"].widget.attrs["aria-label"] = "Take this role away"

    @override
    def clean(self) -> None:
        """Refuse to give a role twice at once."""
        super().clean()
        seen: set[tuple[object, object]] = set()
        for form in self.forms:
            given = form.cleaned_data.get("role"), form.cleaned_data.get("team_id")
            if given[0] is None or form.cleaned_data.get("DELETE"):
                continue
            if given in seen:
                form.add_error("role", "That role is named twice.")
            seen.add(given)

    @override
    def save_new(self, form: AssignmentModelForm, commit: bool = True) -> RoleAssignment:
        """Give the role."""
        return self._assign(form.cleaned_data["role"], form.cleaned_data["team_id"], form)

    @override
    def save_existing(self, form: AssignmentModelForm, obj: RoleAssignment, commit: bool = True) -> RoleAssignment:
        """Change the end."""
        return self._assign(obj.role, obj.team_id, form)

    @override
    def delete_existing(self, obj: RoleAssignment, commit: bool = True) -> None:
        """Take the role."""
        services.remove_roles(user=obj.user, roles=[obj.role], team_id=obj.team_id, taken_by=self.actor)

    def _assign(self, role: Role, team_id: str, form: AssignmentModelForm) -> RoleAssignment:
        end = form.cleaned_data["expires_at"]
        if not isinstance(user := self.instance, HasRoles):
            raise BadRequest
        return assign(user=user, role=role, team_id=team_id, expires_at=end, granted_by=self.actor)


class ObjectPermissionForm(forms.ModelForm):  # type: ignore[type-arg] # of either of guardian's two models
    """Which permission for which object; who gets it stands in the fields of the model."""

    #: Who fills the form in.
    actor: ClassVar[HasRoles]

    permission_name = forms.CharField(
        label="Permission", max_length=201, help_text="One of the object's model, such as accounts.view_user."
    )
    object_name = forms.CharField(label="Object", max_length=302, help_text="As app.model:key.")

    def clean_permission_name(self) -> Permission:
        """Return the permission of that name."""
        try:
            return selectors.get_permission(self.cleaned_data["permission_name"])
        except DomainError as error:
            raise ValidationError(error.message) from error

    def clean_object_name(self) -> Model:
        """Return the row of that name."""
        label, _, key = self.cleaned_data["object_name"].partition(":")
        found = selectors.find_objects([(label, key)]).get((label, key)) if selectors.is_model(label) else None
        if found is None:
            raise ValidationError("There is no such object. Say it as app.model:key, such as accounts.user:<id>.")
        return found

    @override
    def clean(self) -> dict[str, object] | None:
        """Refuse what permits more than the person at the form may."""
        cleaned = super().clean()
        permission, obj = (self.cleaned_data.get(name) for name in ("permission_name", "object_name"))
        if isinstance(permission, Permission) and isinstance(obj, Model):
            try:
                services.check_object_permission(permission=permission, obj=obj, granted_by=self.actor)
            except DomainError as error:
                self.add_error("permission_name", error.message)
        return cleaned


def clean_team(text: str) -> str:
    """Return the key of the team that a field names, "" where it is empty.

    Raises:
        ValidationError: There is no such team.
    """
    if not (key := text.strip()):
        return ""
    try:
        return str(selectors.get_team(key=key).pk)
    except DomainError as error:
        raise ValidationError(error.message) from error


def assign(
    *, user: HasRoles, role: Role, team_id: str, expires_at: datetime | None, granted_by: HasRoles
) -> RoleAssignment:
    """Give a user a role and return the row.

    Raises:
        BadRequest: It was given up meanwhile, so that the services refuse what the form had found good.
    """
    try:
        user.assign_role(role, guard=role.guard, team=team_id or None, expires_at=expires_at, granted_by=granted_by)
    except DomainError as error:
        raise BadRequest(error.message) from error
    return RoleAssignment.objects.get(user=user.pk, role=role, team_id=team_id)
