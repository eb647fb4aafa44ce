"""Whether the file is sound, and the database's own guards are what the schema says: `Shape`."""

from collections.abc import Iterator

import apsw

from tollhouse.ledger.verify.report import Check, Finding
from tollhouse.ledger.verify.walk import Part
from tollhouse.stores.reader import Reader
from tollhouse.stores.schema import MIGRATIONS

SOUND = Check("I17", "the file", "the database can be read, whole")
GUARDS = Check("I19", "append-only", "tables, indexes and triggers are those of the schema, and no others")

_OBJECTS = """
    SELECT name, type, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name
"""


class Shape(Part):
    """The file itself. ``thorough`` also compares every index with its table, which takes minutes where others take
    seconds.
    """

    checks = (SOUND, GUARDS)

    def __init__(self, reader: Reader, *, thorough: bool) -> None:
        super().__init__(reader)
        self._thorough = thorough

    def begin(self) -> Iterator[Finding]:
        """See `Part`."""
        wanted = _schema()
        there = {name: (kind, sql) for name, kind, sql in self.reader.rows(_OBJECTS)}
        for name in sorted(wanted.keys() | there.keys()):
            if name not in there:
                yield Finding(GUARDS, "sqlite_schema", name, f"the {wanted[name][0]}", "nothing of this name")
            elif name not in wanted:
                yield Finding(GUARDS, "sqlite_schema", name, "nothing of this name", f"a {there[name][0]}")
            elif there[name] != wanted[name]:
                yield Finding(GUARDS, "sqlite_schema", name, _one_line(wanted[name][1]), _one_line(there[name][1]))
        if self._thorough:
            for table, pragma in (("file", "PRAGMA integrity_check(1)"), ("foreign keys", "PRAGMA foreign_key_check")):
                row = self.reader.row(pragma)
                if row is not None and row != ("ok",):
                    yield Finding(SOUND, table, "-", "ok", " ".join(map(str, row)))


def _schema() -> dict[str, tuple[str, str]]:
    """What the scripts of `stores.schema` make of an empty database: name to type and SQL."""
    db = apsw.Connection(":memory:")
    for script in MIGRATIONS:
        db.execute(script)
    objects = {str(name): (str(kind), str(sql)) for name, kind, sql in db.execute(_OBJECTS)}
    db.close()
    return objects


def _one_line(sql: str) -> str:
    return " ".join(sql.split())
