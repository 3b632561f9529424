"""What the latest Detox cycle decided, as far as the Dealer wants to know."""

from dataclasses import dataclass

from dynamo.inventory.snapshot import Amounts, Codes, Flags


@dataclass(frozen=True, slots=True, eq=False)
class Protections:
    """Columns of decisions about datasets at sites; places are those of the Dealer's snapshot."""

    dataset: Codes
    """-1 for one that is gone since."""
    site: Codes
    size: Amounts
    protected: Flags
    """The others were kept without need, or deleted."""
    reason: Codes
    """Place in `reasons`; -1 = the default decision."""
    reasons: tuple[str, ...]
    """Texts of conditions, as they stand in the policy behind the verb."""
