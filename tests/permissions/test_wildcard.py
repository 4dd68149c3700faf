from collections.abc import Collection
from itertools import product
from threading import Thread
from typing import ClassVar, override

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from permissions.exceptions import WildcardPermissionNotProperlyFormatted
from permissions.wildcard import _END, WildcardContract, WildcardPermission, _Node

# --- The semantics, row by row ---


@pytest.mark.parametrize("query", ["posts", "posts.create", "posts.create.123", "posts.*", "posts."])
def test_a_grant_allows_itself_and_all_below(query: str) -> None:
    assert WildcardPermission(["posts"]).matches(query)


@pytest.mark.parametrize("query", ["post", "postscript", "posts-create", "Posts", " posts", ""])
def test_a_grant_allows_nothing_that_merely_looks_alike(query: str) -> None:
    assert not WildcardPermission(["posts"]).matches(query)


@pytest.mark.parametrize(
    ("query", "is_allowed"),
    [("posts.create", True), ("posts.create.123", True), ("posts.*", True), ("posts", False), ("pages.create", False)],
)
def test_a_wildcard_at_the_end_allows_what_is_below_and_not_the_stem(query: str, *, is_allowed: bool) -> None:
    assert WildcardPermission(["posts.*"]).matches(query) is is_allowed


@pytest.mark.parametrize(
    ("query", "is_allowed"),
    [
        ("articles.edit", True),
        ("articles.view", True),
        ("articles.create.7", True),
        ("articles.list", False),
        ("articles.edit,view", False),
        ("articles.edit,view,create", False),
        ("articles", False),
    ],
)
def test_a_part_may_name_alternatives(query: str, *, is_allowed: bool) -> None:
    assert WildcardPermission(["articles.edit,view,create"]).matches(query) is is_allowed


@pytest.mark.parametrize(
    ("query", "is_allowed"),
    [("projects.view", True), ("articles.edit", True), ("projects.list", False), ("pages.view", False)],
)
def test_several_parts_may_name_alternatives(query: str, *, is_allowed: bool) -> None:
    assert WildcardPermission(["articles,projects.edit,view"]).matches(query) is is_allowed


@pytest.mark.parametrize(
    ("query", "is_allowed"), [("news.create.456", True), ("news.create", False), ("news.create.457", False)]
)
def test_a_wildcard_may_stand_in_the_middle(query: str, *, is_allowed: bool) -> None:
    assert WildcardPermission(["news.*.456"]).matches(query) is is_allowed


@pytest.mark.parametrize(
    ("grant", "query"),
    [
        ("*.create,update,delete.*.test,course,finance", "invoices.delete.367463.finance"),
        ("papers,posts,projects,orders.*.test,test1,test2.*", "projects.update.test2.test3"),
    ],
)
def test_wildcards_and_alternatives_mix(grant: str, query: str) -> None:
    assert WildcardPermission([grant]).matches(query)


@pytest.mark.parametrize(
    ("query", "is_allowed"), [("User::class.edit", True), ("User::class.delete", False), ("User::class.*", False)]
)
def test_asking_for_a_wildcard_means_all(query: str, *, is_allowed: bool) -> None:
    assert WildcardPermission(["User::class.create,edit,view"]).matches(query) is is_allowed


@pytest.mark.parametrize("name", ["edit articles", "8", "0", "ärger.löschen"])
def test_a_name_of_one_part_is_a_name_like_any_other(name: str) -> None:
    assert WildcardPermission([name]).matches(name)


@pytest.mark.parametrize(
    "grant",
    ["*..", "", " ", ".", "posts.", ".posts", "a..b", "a. .b", "a,", ",a", "a,,b", "a, ,b", "*,", "a.*.", "\t.a"],
)
def test_a_malformed_grant_is_refused(grant: str) -> None:
    with pytest.raises(WildcardPermissionNotProperlyFormatted):
        WildcardPermission(["posts.*", "articles.edit", grant])


def test_a_wildcard_within_a_longer_part_is_an_ordinary_character() -> None:
    matcher = WildcardPermission(["posts*", "a*b.c"])

    assert [matcher.matches(query) for query in ("posts*", "posts1", "a*b.c", "aab.c")] == [True, False, True, False]


def test_where_the_literal_way_ends_the_wildcard_is_tried() -> None:
    matcher = WildcardPermission(["posts.create.1", "posts.*.2"])

    assert matcher.matches("posts.create.2")


def test_a_grant_of_all_allows_everything() -> None:
    matcher = WildcardPermission(["*"])

    assert all(matcher.matches(query) for query in ("a", "a.b", "*", "a,b", ""))


def test_no_grants_allow_nothing() -> None:
    assert not WildcardPermission([]).matches("posts")


def test_a_subclass_may_use_other_delimiters() -> None:
    class Custom(WildcardPermission):
        wildcard = "@"
        part_delimiter = ":"
        subpart_delimiter = ";"

    matcher = Custom(["posts:@", "articles:edit;view", "news:@:456", "plain", "a.*"])
    allowed = ["posts:create", "articles:edit:1", "articles:view", "news:x:456", "plain:below", "a.*"]
    refused = ["posts", "posts.create", "articles:edit;view", "news:x:457", "plain.below", "a.b", "articles:list"]

    assert [matcher.matches(query) for query in allowed + refused] == [True] * len(allowed) + [False] * len(refused)


def test_the_default_class_keeps_the_contract() -> None:
    contract: type[WildcardContract] = WildcardPermission

    assert contract(["posts.*"]).matches("posts.create")


# --- Against a naive reading of the rules ---

names = st.lists(
    st.lists(st.sampled_from(["a", "b", "*", "ab"]), min_size=1, max_size=3).map(",".join), min_size=1, max_size=4
).map(".".join)
queries = st.lists(st.sampled_from(["a", "b", "*", "ab", "a,b", "", "c"]), min_size=1, max_size=6).map(".".join)


def is_allowed_naively(grants: Collection[str], query: str) -> bool:
    """Compare the question with each grant, spelt out without commas."""
    asked = query.split(".")
    spelt_out = (parts for grant in grants for parts in product(*(part.split(",") for part in grant.split("."))))
    return any(
        len(parts) <= len(asked) and all(part in {"*", want} for part, want in zip(parts, asked, strict=False))
        for parts in spelt_out
    )


@given(grants=st.lists(names, max_size=8), queries=st.lists(queries, min_size=1, max_size=8))
@example(grants=["a,*.a,*.b", "*.a.a"], queries=["a.a.b", "a.a.a.b"])
def test_the_answers_are_those_of_a_naive_reading(grants: list[str], queries: list[str]) -> None:
    matcher = WildcardPermission(grants)

    assert [matcher.matches(query) for query in queries] == [is_allowed_naively(grants, query) for query in queries]


@given(grants=st.lists(names, max_size=5), query=queries)
def test_asking_again_gives_the_same_answer(grants: list[str], query: str) -> None:
    matcher = WildcardPermission(grants)

    assert matcher.matches(query) is matcher.matches(query)


@given(grant=st.text(alphabet="a.,* ", max_size=12))
def test_a_grant_is_refused_exactly_where_a_part_is_blank(grant: str) -> None:
    is_blank = any(not alternative.strip() for part in grant.split(".") for alternative in part.split(","))
    try:
        WildcardPermission([grant])
    except WildcardPermissionNotProperlyFormatted:
        assert is_blank
    else:
        assert not is_blank


# --- Hostile input ---


class CountingChildren(dict[str, list[_Node]]):
    """The children of a node, which note each time a question visits it."""

    visits: ClassVar[list[int]] = []

    @override
    def __contains__(self, part: object) -> bool:
        self.visits.append(id(self))
        return super().__contains__(part)


def count_visits(matcher: WildcardPermission, query: str) -> int:
    """Return how many nodes the question visits; a visit looks up the part, then the wildcard."""
    CountingChildren.visits.clear()
    known, waiting = {_END}, [matcher._root]
    while waiting:
        node = waiting.pop()
        node.children = CountingChildren(node.children)
        known.add(node)
        waiting += {child for children in node.children.values() for child in children} - known
    matcher.matches(query)
    return len(CountingChildren.visits) // 2


@pytest.mark.parametrize("alternatives", ["a,b", "a,*", "*,a"])
@pytest.mark.parametrize("query", [".".join("a" * 50), ".".join("*" * 50), ".".join("ab" * 12) + ".c", "*" * 100])
def test_a_grant_full_of_alternatives_costs_at_most_one_visit_for_each_part(alternatives: str, query: str) -> None:
    grant = ".".join([alternatives] * 24) + ".end"

    assert len(grant) <= 100
    assert count_visits(WildcardPermission([grant]), query) <= 25


def test_many_entangled_grants_cost_no_more_visits_than_they_have_parts() -> None:
    grants = [".".join("a" if i == j else "a,*" for j in range(24)) + ".end" for i in range(24)]

    assert count_visits(WildcardPermission(grants), ".".join("a" * 30)) <= sum(g.count(".") + 1 for g in grants)


@pytest.mark.parametrize("size", [10, 1_000, 20_000])
def test_ordinary_grants_cost_the_same_visits_however_many_there_are(size: int) -> None:
    grants = [f"app{i}.item{i}.edit,view.*" for i in range(size)] + [f"*.log{i}.read" for i in range(size)]

    assert count_visits(WildcardPermission(grants), "app7.item7.delete.9") <= 5


def test_a_question_of_a_million_parts_is_answered_and_not_remembered() -> None:
    matcher = WildcardPermission(["a.b", "a.*.c"])
    query = ".".join(["a", *["b" * 3] * 1_000_000])

    assert not matcher.matches(query)
    assert query not in matcher._memo


def test_what_is_remembered_has_a_bound() -> None:
    matcher = WildcardPermission(["a.*"])

    for number in range(25_000):
        matcher.matches(f"a.{number}")

    assert len(matcher._memo) <= 10_000


def test_threads_may_share_a_matcher() -> None:
    matcher = WildcardPermission(["a.*", "b,c.edit"])
    wrong: list[str] = []

    def ask() -> None:
        wrong.extend(f"a.{number}" for number in range(15_000) if not matcher.matches(f"a.{number}"))
        wrong.extend(f"b.{number}" for number in range(15_000) if matcher.matches(f"b.{number}"))

    threads = [Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
