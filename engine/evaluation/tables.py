"""An evaluation's rows as CSV and as Parquet."""

from __future__ import annotations

import csv
import dataclasses
import importlib
import importlib.util
import io
from collections.abc import Sequence

from engine.evaluation.record import COLUMNS, Row
from errors import MissingExtra

NO_PARQUET = "There is no Parquet file: it needs the package pyarrow (pip install -r requirements-more.txt)."
ARROW = {"str": "string", "float": "float64", "int": "int64", "bool": "bool_"}


def table_csv(rows: Sequence[Row]) -> bytes:
    """Return the rows as CSV with a header; true and false in lower case, nothing for what is not known."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([_cell(getattr(row, name)) for name in COLUMNS] for row in rows)
    # A file's name may hold bytes that are no text, which Python keeps as lone surrogates.
    return text.getvalue().encode("utf-8", "backslashreplace")


def _cell(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def has_parquet() -> bool:
    """Say whether Parquet can be written."""
    return importlib.util.find_spec("pyarrow") is not None


def table_parquet(rows: Sequence[Row]) -> bytes:
    """Return the rows as Parquet, every column of its own type; raises `errors.MissingExtra`."""
    if not has_parquet():
        raise MissingExtra(NO_PARQUET)
    arrow = importlib.import_module("pyarrow")
    schema = arrow.schema(
        [
            (item.name, getattr(arrow, ARROW[str(item.type).removesuffix(" | None")])())
            for item in dataclasses.fields(Row)
        ]
    )
    plain = [
        {
            name: value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
            for name, value in dataclasses.asdict(row).items()
        }
        for row in rows
    ]
    file = io.BytesIO()
    importlib.import_module("pyarrow.parquet").write_table(arrow.Table.from_pylist(plain, schema), file)
    return file.getvalue()
