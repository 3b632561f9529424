"""Bytes, durations and checksums in human form."""

import re

_STEPS = {
    "": 1,
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "PB": 10**15,
    "EB": 10**18,
}
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kKMGTPE]?B?)", re.ASCII)


def parse_bytes(text: str) -> int:
    """Return the bytes of `10TB`, `1.5 GB` or `1024` (decimal units). Raises ValueError."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size; write for example 500GB or 10TB")
    number, unit = match.groups()
    whole, _, fraction = number.partition(".")
    step = _STEPS[unit if unit.endswith("B") or not unit else unit.upper().replace("K", "k") + "B"]
    # integers only: a quota of 9.3 EB must not lose its last bytes to a float
    return int(whole) * step + (int(fraction) * step // 10 ** len(fraction) if fraction else 0)


def format_bytes(size: int | None) -> str:
    """Return bytes in human form, such as `1.5 GB`; None is `unlimited`."""
    if size is None:
        return "unlimited"
    step, unit = scale(size)
    return f"{size} B" if unit == "B" else f"{size / step:.1f} {unit}"


def scale(size: int) -> tuple[int, str]:
    """Return the fitting unit for a size: its bytes, and its name."""
    fitting = [unit for unit in _UNITS if abs(size) >= _STEPS[unit]]
    unit = fitting[-1] if fitting else "B"
    return _STEPS[unit], unit


def adler32_text(value: int) -> str:
    """Return an Adler-32 as eight lower-case hex digits."""
    return f"{value & 0xFFFFFFFF:08x}"
