"""Connection parameters of a server. Loads no PostgreSQL library: the command line starts faster."""

from dataclasses import dataclass, field

from pgimport.server.circuit_breaker import CircuitBreaker


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Connection parameters of one role at one server; of the admin, unless a function says otherwise."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    sslmode: str = "prefer"
    circuit_breaker: CircuitBreaker | None = field(default=None, repr=False, compare=False)  # shared by all servers

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"
