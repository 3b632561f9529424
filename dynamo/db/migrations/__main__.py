"""Write the next migration from what the tables say: `python -m dynamo.db.migrations "why"`."""

import subprocess
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.autogenerate.api import AutogenContext
from alembic.script import Script
from sqlalchemy import String
from sqlalchemy.dialects import mysql

from dynamo.db import schema
from dynamo.db.engine.connection import connect
from dynamo.db.tables.types import BIG, Utc


def named(kind: str, item: object, context: AutogenContext) -> str | bool:
    """Write a column type by its name in `dynamo.db.tables.types`, which never change meaning."""
    name = _name(item) if kind == "type" else None
    if name is None:
        return False
    context.imports.add(f"from dynamo.db.tables.types import {name.partition('(')[0]}")
    return name


def _name(item: object) -> str | None:
    if item is BIG:
        return "BIG"
    if isinstance(item, Utc):
        return "Utc()"
    if isinstance(item, String) and isinstance(item.dialect_impl(mysql.dialect()), mysql.VARCHAR):
        return f"ascii_text({item.length})"
    return None


def main() -> None:
    """Compare an empty database that was brought up to date with the tables."""
    with tempfile.TemporaryDirectory() as folder:
        engine = connect(f"sqlite:///{Path(folder) / 'empty.db'}")
        schema.upgrade(engine)
        with engine.connect() as connection:
            config = schema.alembic(connection)
            config.attributes["render_item"] = named
            number = len(list((schema.MIGRATIONS / "versions").glob("*.py"))) + 1
            message = " ".join(sys.argv[1:]).strip(". ")
            written = command.revision(config, message, autogenerate=True, rev_id=f"{number:04d}")
        engine.dispose()
    assert isinstance(written, Script)  # noqa: S101 - one revision was asked for
    _tidy(Path(written.path))


def _tidy(path: Path) -> None:
    """Drop the generator's own remarks and write it as all our code is written."""
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "# ###" not in line))
    for task in (["check", "--quiet", "--select", "I", "--fix"], ["format", "--quiet"]):
        subprocess.run([sys.executable, "-m", "ruff", *task, path], check=True)  # noqa: S603 - ours


if __name__ == "__main__":
    main()
