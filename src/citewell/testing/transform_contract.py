"""The contract of `Transform` as a test suite: every implementation runs `CASES`.

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
    def test_my_transform_keeps_the_contract(case):
        case(MyTransform)

Each case gets a function that makes a transform.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from citewell.protocols import Transform
from citewell.testing.document_samples import documents, nodes_of

MakeTransform: TypeAlias = Callable[[], Transform]


def nodes_made_stand_for_a_place_of_their_document(make: MakeTransform) -> None:
    transform = make()
    for document in documents():
        for node in transform.apply(document, nodes_of(document)):
            assert node.document_id == document.id
            assert node.span.end <= len(document.text)
            assert node.span, "a node stands for at least one character"
            assert node.derived or node.span.of(document.text) == node.text, "what is not a slice says `derived`"
            assert node.text.strip()


def ids_stay_unique(make: MakeTransform) -> None:
    transform = make()
    ids = [node.id for document in documents() for node in transform.apply(document, nodes_of(document))]
    assert len(set(ids)) == len(ids)


def a_node_of_the_same_id_is_the_same_place(make: MakeTransform) -> None:
    transform = make()
    for document in documents():
        before = {node.id: node for node in nodes_of(document)}
        for node in transform.apply(document, nodes_of(document)):
            same = before.get(node.id)
            assert same is None or (same.span, same.derived) == (node.span, node.derived)


def what_was_given_is_left_alone(make: MakeTransform) -> None:
    transform = make()
    for document in documents():
        nodes = nodes_of(document)
        made = transform.apply(document, nodes)
        assert nodes == nodes_of(document)
        assert made is not nodes


def the_same_nodes_are_made_each_time(make: MakeTransform) -> None:
    one, other = make(), make()
    assert one.identity == other.identity
    assert one.identity.strip()
    for document in documents():
        made = one.apply(document, nodes_of(document))
        assert made == one.apply(document, tuple(nodes_of(document))) == other.apply(document, nodes_of(document))


def no_nodes_are_no_error(make: MakeTransform) -> None:
    transform = make()
    for document in documents():
        assert isinstance(transform.apply(document, []), list)


def threads_may_apply_it_at_once(make: MakeTransform) -> None:
    transform = make()
    alone = [transform.apply(document, nodes_of(document)) for document in documents()]
    with ThreadPoolExecutor(4) as pool:
        together = pool.map(lambda document: transform.apply(document, nodes_of(document)), documents() * 3)
        assert list(together) == alone * 3


CASES: tuple[Callable[[MakeTransform], None], ...] = (
    nodes_made_stand_for_a_place_of_their_document,
    ids_stay_unique,
    a_node_of_the_same_id_is_the_same_place,
    what_was_given_is_left_alone,
    the_same_nodes_are_made_each_time,
    no_nodes_are_no_error,
    threads_may_apply_it_at_once,
)
"""All cases."""
