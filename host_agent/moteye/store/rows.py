"""Writing many rows with few statements, which is what a batch costs least in.

They go to the driver's own cursor: what SQLAlchemy does around a statement costs five times what
SQLite needs for a row.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain, islice
from typing import Any, Protocol

import sqlalchemy as sa

_SIZES = (256, 64, 16)  # rows a statement: few texts to prepare, whatever the number of rows


class Cursor(Protocol):
    """PEP 249."""

    def execute(self, statement: str, values: Sequence[Any], /) -> object:
        """Run a statement."""

    def executemany(self, statement: str, rows: Sequence[Sequence[Any]], /) -> object:
        """Run it once for each row."""


def insert(
    cursor: Cursor,
    dialect: str,
    table: sa.Table,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    replace: bool = False,
) -> None:
    """Insert `rows`, values in the order of `columns`. Raises what the driver raises.

    With `replace` a row of the same primary key is overwritten; the keys of `rows` must differ.
    """
    waiting, names = list(rows), tuple(columns)
    iterator, left = iter(waiting), len(waiting)
    for size in _SIZES:
        while left >= size:
            values = tuple(chain.from_iterable(islice(iterator, size)))
            cursor.execute(_statement(dialect, table, names, size, replace), values)
            left -= size
    if left:
        cursor.executemany(_statement(dialect, table, names, 1, replace), list(iterator))


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
