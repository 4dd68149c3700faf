"""Parts of a page that only some see: ``{% role "editor" %}…{% elserole "author" %}…{% else %}…{% endrole %}``.

========================================== ==========================================================
``{% role "a|b" %}``, ``{% hasanyrole … %}`` has one of the roles
``{% hasallroles "a|b" %}``                  has all of the roles
``{% hasexactroles "a|b" %}``                has these roles and no other
``{% permission "blog.change_post" %}``      may one of these, as ``user.can`` decides; ``obj=post`` asks about a row
========================================== ==========================================================

Each ends with ``end`` and its name, and may have any number of ``else`` and its name between, and an ``{% else %}``.
Names come as ``"a|b"``, one by one, or as variables that hold names, enums, or lists of them. ``guard="api"`` asks in
another guard; ``user=author`` asks about another user than the one who looks at the page. Who isn't signed in, and a
user whose class has no roles, has none and may nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, override

from django import template
from django.template.base import FilterExpression, Node, NodeList, Parser, Token, token_kwargs
from django.template.context import Context
from django.utils.safestring import SafeString

from permissions import selectors
from permissions.mixins import HasRoles

register = template.Library()

type _Test = Callable[[HasRoles, tuple[str, ...], str | None, object], bool]

_ELSE: Final = "else"


def _has_any_role(user: HasRoles, names: tuple[str, ...], guard: str | None, _: object) -> bool:
    return user.has_any_role(*names, guard=guard)


def _has_all_roles(user: HasRoles, names: tuple[str, ...], guard: str | None, _: object) -> bool:
    return user.has_all_roles(*names, guard=guard)


def _has_exact_roles(user: HasRoles, names: tuple[str, ...], guard: str | None, _: object) -> bool:
    return user.has_exact_roles(*names, guard=guard)


def _may(user: HasRoles, names: tuple[str, ...], guard: str | None, obj: object) -> bool:
    return user.can_any(*names, obj=obj, guard=guard)


_TESTS: Final[dict[str, _Test]] = {
    "role": _has_any_role,
    "hasanyrole": _has_any_role,
    "hasallroles": _has_all_roles,
    "hasexactroles": _has_exact_roles,
    "permission": _may,
}


@dataclass(frozen=True)
class _Condition:
    """What has to hold for a branch to be shown."""

    test: _Test
    names: tuple[FilterExpression, ...]
    options: dict[str, FilterExpression]

    @classmethod
    def parse(cls, parser: Parser, token: Token, *, tag: str) -> "_Condition":
        """Read the arguments of a tag.

        Raises:
            TemplateSyntaxError: There is no name, or an argument that the tag doesn't know.
        """
        said, *bits = token.split_contents()
        allowed = {"guard", "user", "obj"} if tag == "permission" else {"guard", "user"}
        names: list[FilterExpression] = []
        options: dict[str, FilterExpression] = {}
        for bit in bits:
            if named := token_kwargs([bit], parser):
                options |= named
            else:
                names.append(parser.compile_filter(bit))
        if unknown := options.keys() - allowed:
            message = f"{{% {said} %}} knows no {', '.join(sorted(unknown))}=; it knows {', '.join(sorted(allowed))}."
            raise template.TemplateSyntaxError(message)
        if not names:
            message = f'{{% {said} %}} needs a name, such as {{% {said} "edit articles" %}}.'
            raise template.TemplateSyntaxError(message)
        return cls(_TESTS[tag], tuple(names), options)

    def is_met(self, context: Context) -> bool:
        """Say whether it holds; unknown variables are no names, and nobody's user."""
        user = self.options["user"].resolve(context, ignore_failures=True) if "user" in self.options else _find(context)
        if not isinstance(user, HasRoles):
            return False
        names = selectors.get_names(name.resolve(context, ignore_failures=True) for name in self.names)
        guard, obj = (
            self.options[key].resolve(context, ignore_failures=True) if key in self.options else None
            for key in ("guard", "obj")
        )
        if "obj" in self.options and obj is None:
            return False  # a row that isn't there is not the same as every row
        return bool(names) and self.test(user, names, guard, obj)


class _BranchesNode(Node):
    """Renders the first branch whose condition holds."""

    def __init__(self, branches: list[tuple[_Condition | None, NodeList]]) -> None:
        self.branches = branches

    @property
    def nodelist(self) -> NodeList:
        """All nodes inside, for who walks the tree."""
        return NodeList(node for _, nodes in self.branches for node in nodes)

    @override
    def render(self, context: Context) -> SafeString:
        for condition, nodes in self.branches:
            if condition is None or condition.is_met(context):
                return nodes.render(context)
        return SafeString("")


def _find(context: Context) -> object:
    """Return who looks at the page, where anybody is known to."""
    if "user" in context:
        return context["user"]
    return getattr(context.get("request"), "user", None)


def _compile(tag: str) -> Callable[[Parser, Token], _BranchesNode]:
    otherwise, end = f"{_ELSE}{tag}", f"end{tag}"

    def parse(parser: Parser, token: Token) -> _BranchesNode:
        branches: list[tuple[_Condition | None, NodeList]] = []
        said = tag
        while said != end:
            condition = None if said == _ELSE else _Condition.parse(parser, token, tag=tag)
            nodes = parser.parse((end,) if condition is None else (otherwise, _ELSE, end))
            branches.append((condition, nodes))
            token = parser.next_token()
            said = token.split_contents()[0]
        return _BranchesNode(branches)

    return parse


for _tag in _TESTS:
    register.tag(_tag, _compile(_tag))
