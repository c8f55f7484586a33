"""Answers of the database as people and programs take them: a table, CSV, JSON lines, Parquet. Row by row."""

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

import msgspec

from gridbeacon.cli.common import shown
from gridbeacon.errors import UsageError

FORMS = ("table", "csv", "json", "parquet")
WIDTH_ROWS = 200
"""A table's columns are as wide as these first rows need."""
CELL_CHARS = 80
CHUNK_ROWS = 65_536


@contextmanager
def target(out: Path | None) -> Iterator[IO[bytes]]:
    """Yield where an answer goes: standard output, or a file that is there only when the answer was whole.

    Raises ``UsageError`` when the file can't be written.
    """
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.flush()
        return
    half = out.with_name(out.name + ".part")
    try:
        with half.open("wb") as file:
            yield file
        half.replace(out)
    except OSError as error:
        raise UsageError(f"{out} can't be written ({error.strerror}); name another file with --out") from error
    finally:
        half.unlink(missing_ok=True)


def write(client: Any, sql: str, form: str, stream: IO[bytes]) -> int:
    """Ask, and write the answer in a form; return the number of rows."""
    found = client.execute_iter(sql, with_column_types=True, chunk_size=CHUNK_ROWS)
    blocks = iter(found)
    first = list(next(blocks, []))
    if not first:
        return 0
    columns = [(str(name), str(kind)) for name, kind in first[0]]
    return {"table": _table, "csv": _csv, "json": _json, "parquet": _parquet}[form](
        columns, chain([first[1:]], blocks), stream
    )


Columns = list[tuple[str, str]]
Blocks = Iterator[Sequence[Sequence[Any]]]


def table(
    names: Sequence[str], rows: Sequence[Sequence[Any]], widths: Sequence[int] | None = None
) -> tuple[str, list[int]]:
    """Return rows as text in columns, and how wide these are; without ``widths`` with the names above them."""
    texts = [[_short(value) for value in row] for row in rows]
    head = [] if widths else [list(names)]
    found = list(widths or [max([len(name), *(len(text[n]) for text in texts)]) for n, name in enumerate(names)])
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(line, found, strict=True)) for line in head + texts)
    return "".join(line.rstrip() + "\n" for line in lines), found


def _table(columns: Columns, blocks: Blocks, stream: IO[bytes]) -> int:
    names = [name for name, _ in columns]
    rows = chain.from_iterable(blocks)
    part, widths, count = list(islice(rows, WIDTH_ROWS)), None, 0
    while part or widths is None:
        text, widths = table(names, part, widths)
        stream.write(text.encode())
        count += len(part)
        part = list(islice(rows, CHUNK_ROWS))
    return count


def _csv(columns: Columns, blocks: Blocks, stream: IO[bytes]) -> int:
    text = io.TextIOWrapper(stream, "utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([name for name, _ in columns])
    count = 0
    for block in blocks:
        writer.writerows([["" if value is None else shown(value) for value in row] for row in block])
        count += len(block)
    text.detach()
    return count


def _json(columns: Columns, blocks: Blocks, stream: IO[bytes]) -> int:
    names = [name for name, _ in columns]
    encoder = msgspec.json.Encoder(enc_hook=str)
    count = 0
    for block in blocks:
        stream.write(encoder.encode_lines([dict(zip(names, row, strict=True)) for row in block]))
        count += len(block)
    return count


def _parquet(columns: Columns, blocks: Blocks, stream: IO[bytes]) -> int:
    import pyarrow as pa
    from pyarrow import parquet

    names = [name for name, _ in columns]
    writer: Any = None
    count = 0
    for block in blocks:
        made = pa.table({name: [row[n] for row in block] for n, name in enumerate(names)})
        if writer is None:
            writer = parquet.ParquetWriter(stream, made.schema)
        writer.write_table(made.cast(writer.schema))
        count += len(block)
    if writer is not None:
        writer.close()
    return count


def _short(value: Any) -> str:
    text = shown(value).replace("\n", "⏎")
    return text if len(text) <= CELL_CHARS else text[: CELL_CHARS - 1] + "…"
