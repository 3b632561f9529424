"""Named column types."""

from datetime import UTC, date, datetime
from typing import Annotated

from sqlalchemy import (
    JSON,
    BigInteger,
    Date,
    DateTime,
    Dialect,
    Double,
    Integer,
    LargeBinary,
    String,
    Text,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine


class Utc(TypeDecorator[datetime]):
    """A time with microseconds: UTC in the database, with a zone in Python."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime]:
        """Return the type with microseconds for MySQL."""
        if dialect.name == "mysql":
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return the value in UTC without a zone."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return the value with the zone UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


def ascii_text(length: int) -> String:
    """Return the type of names: ASCII, compared byte by byte."""
    return String(length).with_variant(
        mysql.VARCHAR(length, charset="ascii", collation="ascii_bin"), "mysql", "mariadb"
    )


BIG = BigInteger().with_variant(Integer(), "sqlite")  # SQLite increments only INTEGER automatically

Key = Annotated[int, mapped_column(BIG, primary_key=True, autoincrement=True)]
Reference = Annotated[int, mapped_column(BIG)]
Bytes = Annotated[int, mapped_column(BigInteger)]
Count = Annotated[int, mapped_column(BigInteger)]
Name = Annotated[str, mapped_column(ascii_text(64))]
DatasetName = Annotated[str, mapped_column(ascii_text(500))]
Lfn = Annotated[str, mapped_column(ascii_text(500))]
Word = Annotated[str, mapped_column(ascii_text(32))]
Uuid = Annotated[str, mapped_column(ascii_text(100))]
Trace = Annotated[str, mapped_column(ascii_text(100))]
SwitchName = Annotated[str, mapped_column(ascii_text(80))]
IdempotencyKey = Annotated[str, mapped_column(ascii_text(255))]
Adler32 = Annotated[str, mapped_column(ascii_text(8))]
Hash = Annotated[
    bytes, mapped_column(LargeBinary().with_variant(mysql.BINARY(16), "mysql", "mariadb"))
]
Moment = Annotated[datetime, mapped_column(Utc)]
Day = Annotated[date, mapped_column(Date)]
Seconds = Annotated[float, mapped_column(Double)]
Sentence = Annotated[str, mapped_column(String(1000))]
Url = Annotated[str, mapped_column(String(2000))]
LongText = Annotated[
    str, mapped_column(Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb"))
]
Json = Annotated[dict[str, object], mapped_column(JSON)]
Words = Annotated[list[str], mapped_column(JSON)]
