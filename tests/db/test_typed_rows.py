"""Rows come under the names that their type has, and sums are numbers of Python."""

from typing import NamedTuple

import pytest
from sqlalchemy import select

from dynamo.db.engine.expressions import total
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.tables import Partition


class PartitionRow(NamedTuple):
    """A row of the test."""

    id: int
    name: str


def _two(begin: UnitOfWork) -> None:
    with begin() as work:
        for name in ("Physics", "Express"):
            work.add(Partition, name=name, definition="")


def test_rows_have_the_names_of_their_type(begin):
    _two(begin)
    named = select(Partition.id, Partition.name).order_by(Partition.name)

    with begin.reading() as work:
        rows = work.read(PartitionRow, named)
        first = work.read_one(PartitionRow, named)
        none = work.read_one(PartitionRow, named.where(Partition.name == "Nobody"))

    assert [row.name for row in rows if type(row) is PartitionRow] == ["Express", "Physics"]
    assert first == rows[0]
    assert none is None


@pytest.mark.parametrize("columns", [(Partition.name, Partition.id), (Partition.id,)])
def test_a_statement_with_other_labels_is_refused(begin, columns):
    with begin.reading() as work:
        for read in (work.read, work.read_one):
            with pytest.raises(TypeError, match=r"PartitionRow.*'id', 'name'.*statement"):
                read(PartitionRow, select(*columns))


def test_a_sum_is_a_number_of_python(begin):
    _two(begin)

    with begin.reading() as work:
        summed = work.value(select(total(Partition.id)))
        of_none = work.value(select(total(Partition.id)).where(Partition.name == "Nobody"))
        ids = work.scalars(select(Partition.id))

    assert (type(summed), summed) == (int, sum(ids))
    assert (type(of_none), of_none) == (int, 0)
