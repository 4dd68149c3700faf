"""Grants that hold for many permissions: ``posts.*``, ``articles.edit,view``, ``news.*.456``.

A grant is split at ``.`` into parts, a part at ``,`` into alternatives. Part by part it allows what it names, ``*``
stands for anything, and whatever lies below comes with it: ``posts`` allows ``posts.create.123``. What is asked for is
taken literally: asking for ``posts.*`` asks for a permission of that very name.
"""

import re
from collections.abc import Collection, Iterable
from typing import ClassVar, Final, Protocol, final

from permissions.exceptions import WildcardPermissionNotProperlyFormatted

#: How many answers a matcher remembers, and up to how many characters what was asked for may have.
_MEMO_SIZE: Final = 10_000
_MEMO_MAX_LENGTH: Final = 255


class WildcardContract(Protocol):
    """What the setting ``WILDCARD_CLASS`` must name: made once from the names of grants, asked many times."""

    def __init__(self, names: Iterable[str]) -> None: ...

    def matches(self, query: str) -> bool:
        """Say whether one of the grants allows what is asked for. Nothing else may count: a yes is remembered."""


class WildcardPermission:
    """The grants of one holder, compiled.

    Nothing but the memo changes after construction, so threads may share a matcher. Neither building nor asking can
    explode: there is at most one node for each part of each grant, and a question visits none twice.
    """

    #: The part that stands for anything. Like the delimiters it may be another single character in a subclass.
    wildcard: ClassVar[str] = "*"
    part_delimiter: ClassVar[str] = "."
    subpart_delimiter: ClassVar[str] = ","

    def __init__(self, names: Iterable[str]) -> None:
        """Compile the grants.

        Raises:
            WildcardPermissionNotProperlyFormatted: A part or an alternative of a grant is empty or blank.
        """
        names = frozenset(names)
        self._refuse_malformed(names)
        patterns = {name for name in names if self.wildcard in name or self.subpart_delimiter in name}
        #: Grants without alternatives and wildcards; looking up the prefixes of a question is all they need.
        self._literals = names - patterns
        self._longest_literal = max(map(len, self._literals), default=0)
        self._root = self._compile(patterns)
        self._depth = 1 + max((pattern.count(self.part_delimiter) for pattern in patterns), default=0)
        self._memo: dict[str, bool] = {}

    def matches(self, query: str) -> bool:
        """Say whether one of the grants allows what is asked for."""
        answer = self._memo.get(query)
        if answer is None:
            answer = self._matches_literal(query) or self._matches_pattern(query)
            if len(query) <= _MEMO_MAX_LENGTH:
                if len(self._memo) >= _MEMO_SIZE:
                    self._memo.clear()
                self._memo[query] = answer
        return answer

    @classmethod
    def overlaps(cls, first: str, second: str) -> bool:
        """Say whether two grants allow something in common. Where one ends, the other is below it."""
        parts = (
            [set(part.split(cls.subpart_delimiter)) for part in one.split(cls.part_delimiter)]
            for one in (first, second)
        )
        return all(cls.wildcard in ours | theirs or ours & theirs for ours, theirs in zip(*parts, strict=False))

    def _refuse_malformed(self, names: Collection[str]) -> None:
        # One search through all names costs a fifth of splitting each, and nearly always finds nothing.
        delimiter = self.part_delimiter
        text = f"{delimiter}\0{delimiter}".join(["", *names, ""]).replace(self.subpart_delimiter, delimiter)
        if re.search(rf"{re.escape(delimiter)}[\s{re.escape(delimiter)}]", text):
            for name in sorted(names):
                if not all(map(str.strip, name.replace(self.subpart_delimiter, delimiter).split(delimiter))):
                    raise WildcardPermissionNotProperlyFormatted.named(name)

    def _compile(self, patterns: Iterable[str]) -> "_Node":
        """Return the root of the patterns.

        All alternatives of a part lead to one node. A node for each of them would multiply with every further part.
        """
        root = _Node()
        known: dict[tuple[_Node, str], _Node] = {}
        for pattern in patterns:
            node = root
            *parts, last = pattern.split(self.part_delimiter)
            for part in parts:
                child = known.get((node, part))
                if child is None:
                    child = known[node, part] = _Node()
                    node.lead(part.split(self.subpart_delimiter), child)
                node = child
            node.lead(last.split(self.subpart_delimiter), _END)
        return root

    def _matches_literal(self, query: str) -> bool:
        literals, delimiter = self._literals, self.part_delimiter
        if query in literals:
            return True
        end = query.rfind(delimiter, 0, self._longest_literal + 1)
        while end > 0:
            if query[:end] in literals:
                return True
            end = query.rfind(delimiter, 0, end)
        return False

    def _matches_pattern(self, query: str) -> bool:
        wildcard = self.wildcard
        nodes: Collection[_Node] = (self._root,)
        for part in query.split(self.part_delimiter, self._depth):
            reached: list[_Node] = []
            for node in nodes:
                children = node.children
                if part in children:
                    reached += children[part]
                if wildcard in children:
                    reached += children[wildcard]
            if _END in reached:
                return True
            if not reached:
                return False
            nodes = reached if len(reached) == 1 else set(reached)
        return False


@final
class _Node:
    """A point that questions may reach, and where each part leads from there."""

    __slots__ = ("children",)

    def __init__(self) -> None:
        self.children: dict[str, list[_Node]] = {}

    def lead(self, alternatives: Iterable[str], child: "_Node") -> None:
        """Let each of the alternatives lead to a child, beside where it leads already."""
        for alternative in alternatives:
            self.children.setdefault(alternative, []).append(child)


#: Who reaches it is allowed.
_END: Final = _Node()
