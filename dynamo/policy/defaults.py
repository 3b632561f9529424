"""The partitions and policies that a fresh system begins with."""

from importlib.resources import files

from dynamo.inventory.snapshot import Definition
from dynamo.policy.partitions import read_partition_file

_FOLDER = files("dynamo.policy").joinpath("defaults")


def partitions() -> tuple[Definition, ...]:
    """Return the partitions of a fresh system."""
    name = "partitions.txt"
    return read_partition_file(_FOLDER.joinpath(name).read_text("utf-8"), name)


def policy(partition: str) -> str:
    """Return the text of a partition's first policy."""
    return _FOLDER.joinpath(f"{partition}.policy").read_text("utf-8")
