"""Who calls, and what the roles allow."""

from dataclasses import dataclass

from dynamo.inventory.scopes import Scopes
from dynamo.inventory.states import Role


@dataclass(frozen=True, slots=True)
class Caller:
    """An identity with its roles; `site` is the one that the role `site` is about.

    A caller with `scopes` may change no more than these say, whoever it is.
    """

    name: str
    roles: frozenset[Role]
    site: str | None = None
    scopes: Scopes | None = None

    @property
    def may_operate(self) -> bool:
        """Tell whether this is an operator, who may act on all data."""
        return Role.OPERATOR in self.roles

    @property
    def may_produce(self) -> bool:
        """Tell whether this caller may act on data without a personal owner."""
        return Role.PRODUCTION in self.roles or self.may_operate
