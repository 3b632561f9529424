"""The form of an answer to a golden case."""

from typing import Any

Answer = dict[str, Any]


def error(stage: str, wrong: Exception) -> Answer:
    """Return the answer to a case that has no working meaning."""
    return {
        "status": "error",
        "stage": stage,
        "error_type": type(wrong).__name__,
        "error": str(wrong),
    }
