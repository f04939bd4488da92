"""Derives the names of the objects that a request creates. Pure: randomness is an argument."""

from dataclasses import dataclass

from pgimport.model.names import short_hash

_HASH_LENGTH = 20  # hexadecimal digits of a derived name


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectName:
    """Project, namespace and name of an object to create."""

    project: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectNamer:
    """Names new objects of one Project. The same Idempotency-Key gives the same names; without one they are random."""

    project: str
    namespace: str
    idempotency_key: str | None = None
    random_bytes: bytes

    def derive(self, prefix: str) -> ObjectName:
        """Derives the name `<prefix>-<hash>`."""
        key = self.idempotency_key
        text = f"{self.project}\0{key}" if key is not None else self.random_bytes.hex()
        return self.accept(f"{prefix}-{short_hash(text, _HASH_LENGTH)}")

    def accept(self, name: str) -> ObjectName:
        """Uses a name that the client chose."""
        return ObjectName(project=self.project, namespace=self.namespace, name=name)
