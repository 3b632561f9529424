"""Callers of the API, and what their roles allow."""

from dataclasses import dataclass

from dynamo.inventory.scopes import Scopes
from dynamo.inventory.states import Role

SYSTEM = "dynamo"
"""Who does what no caller has asked for."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated identity. `site` is the site that the role `site` applies to.

    `scopes`, where set, limit the caller further, whatever its roles are.
    """

    name: str
    roles: frozenset[Role]
    site: str | None = None
    scopes: Scopes | None = None

    @property
    def may_operate(self) -> bool:
        """Return whether the caller is an operator, who may act on all data."""
        return Role.OPERATOR in self.roles

    @property
    def may_produce(self) -> bool:
        """Return whether the caller may act on data without a personal owner."""
        return Role.PRODUCTION in self.roles or self.may_operate
