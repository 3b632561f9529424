"""What a request asks is a structure of its kind, also where its row was written long ago."""

import msgspec
import pytest

from dynamo.inventory.request_bodies import (
    ClosureBody,
    CopyBody,
    DeletionBody,
    InjectionBody,
    RequestBody,
    SystemCopyBody,
    SystemDeletionBody,
    body_type,
)
from dynamo.inventory.states import Origin, RequestKind


@pytest.mark.parametrize(
    ("kind", "origin", "expected"),
    [
        (RequestKind.INJECTION, Origin.CALLER, InjectionBody),
        (RequestKind.COPY, Origin.CALLER, CopyBody),
        (RequestKind.CLOSURE, Origin.CALLER, ClosureBody),
        (RequestKind.DELETION, Origin.CALLER, DeletionBody),
        (RequestKind.COPY, Origin.REPAIR, SystemCopyBody),
        (RequestKind.COPY, Origin.RESCUE, SystemCopyBody),
        (RequestKind.DELETION, Origin.CYCLE, SystemDeletionBody),
        (RequestKind.DELETION, Origin.EVACUATION, SystemDeletionBody),
    ],
)
def test_kind_and_origin_tell_the_structure(
    kind: RequestKind, origin: Origin, expected: type[RequestBody]
) -> None:
    assert body_type(kind, origin) is expected
    assert expected.kind is kind


def test_what_an_older_row_has_beside_or_lacks_is_no_error() -> None:
    body = msgspec.convert({"sites": ["T2_A"], "patience": 3, "copies": None}, CopyBody)
    assert body == CopyBody(sites=("T2_A",))


def test_what_is_kept_is_read_again_as_it_was() -> None:
    body = DeletionBody(site="T2_A", lay=("a", "b"), files=(3, 4), last_copy=True)
    kept = msgspec.json.decode(msgspec.json.encode(msgspec.to_builtins(body)))
    assert msgspec.convert(kept, DeletionBody) == body


@pytest.mark.parametrize(
    ("body", "copies"),
    [
        (CopyBody(sites=("T2_A", "T2_B")), None),
        (CopyBody(sites=("T2_*",), copies=2), 2),
        (CopyBody(sites=("T2_*",), spread=True), 1),
        (CopyBody(sites=("T2_*",), spread=True, copies=3), 3),
        (CopyBody(sites=("T2_A",), consolidate=True, copies=1), None),
    ],
)
def test_copies_are_counted_among_the_sites_or_are_one_at_each(
    body: CopyBody, copies: int | None
) -> None:
    assert body.n_copies == copies


def test_a_deletion_gives_up_what_is_named_or_what_lay_at_the_site() -> None:
    assert DeletionBody(blocks=("/A/B/C#x",), lay=("y",)).block_ids == {"x"}
    assert DeletionBody(site="T2_A", lay=("y",)).block_ids == {"y"}
    assert DeletionBody().block_ids is None
