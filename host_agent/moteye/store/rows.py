"""Writing many rows with few statements, which is what a batch costs least in."""

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain, islice
from typing import Any

import sqlalchemy as sa

_SIZES = (256, 64, 16, 4, 1)  # rows a statement: few texts to prepare, whatever the number of rows


def insert(
    connection: sa.Connection,
    table: sa.Table,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    replace: bool = False,
) -> None:
    """Insert `rows`, values in the order of `columns`.

    With `replace` a row of the same primary key is overwritten; the keys of `rows` must differ.
    """
    waiting = list(rows)
    iterator, left = iter(waiting), len(waiting)
    for size in _SIZES:
        while left >= size:
            values = tuple(chain.from_iterable(islice(iterator, size)))
            text = _statement(connection.dialect.name, table, tuple(columns), size, replace)
            connection.exec_driver_sql(text, values)
            left -= size


@cache
def _statement(
    dialect: str, table: sa.Table, columns: tuple[str, ...], count: int, replace: bool
) -> str:
    mark = "%s" if dialect == "postgresql" else "?"
    row = f"({', '.join([mark] * len(columns))})"
    text = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES {', '.join([row] * count)}"  # noqa: S608  names of our own tables
    if not replace:
        return text
    keys = [column.name for column in table.primary_key]
    others = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in keys)
    return f"{text} ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {others}"
