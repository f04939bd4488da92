"""What the operator prepared in the shadow, which the plan of an import follows."""

from dataclasses import dataclass, field

from pgimport.model.owner_comment import RefusedExtension, ShadowRecord, parse_shadow_record
from pgimport.worker.postgres.endpoints import Connection
from pgimport.worker.postgres.queries import read_query

DEFAULT_SEARCH_PATH = '"$user", public'


@dataclass(frozen=True, slots=True)
class ShadowState:
    """The extensions of the shadow, and what the operator recorded when it prepared the shadow."""

    extensions: frozenset[str] = frozenset()
    record: ShadowRecord = field(default_factory=ShadowRecord)

    @property
    def search_path(self) -> str:
        """The search_path of the source's sessions, as far as it is known."""
        settings = {setting.name: setting.value for setting in self.record.settings}
        return settings.get("search_path", DEFAULT_SEARCH_PATH)

    @property
    def search_path_of_rows(self) -> str:
        """The search_path while rows are copied. Like an empty one, it finds names in pg_catalog first.

        The rows were read with an empty search_path, in which a value such as 'english' of type regconfig means
        pg_catalog.english. A search_path that does not contain pg_catalog begins with it too.
        """
        return f"pg_catalog, {self.search_path}" if "pg_catalog" in self.search_path else self.search_path

    def find_refusal(self, extension: str) -> RefusedExtension | None:
        """Returns why the operator did not create an extension, if it recorded that."""
        return next((item for item in self.record.refused_extensions if item.name == extension), None)


def read_shadow_state(shadow: Connection) -> ShadowState:
    """Reads the state with the attempt's own role. Raises psycopg.Error."""
    row = shadow.execute(read_query("scope/shadow_state")).fetchone()
    return ShadowState(frozenset(row[0] or ()), parse_shadow_record(row[1])) if row is not None else ShadowState()
