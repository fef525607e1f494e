"""How numbers and foreign text look in a terminal: one way for all commands."""

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def human_bytes(count: float) -> str:
    """1536 → '1.5 KiB'; whole bytes have no decimals."""
    for unit in UNITS:
        if abs(count) < 1024 or unit == UNITS[-1]:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError("the last unit takes everything")


def human_rate(bytes_per_second: float) -> str:
    """'-' for nothing, else '1.5 MiB/s'."""
    return f"{human_bytes(bytes_per_second)}/s" if bytes_per_second else "-"


def human_time(seconds: float) -> str:
    """8 → '8 s', 200 → '3 m 20 s', 10,000 → '2 h 46 m'."""
    seconds = int(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} m {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} m"


def printable(text: str) -> str:
    """Foreign text with control and direction-changing characters escaped, so that it cannot rewrite the screen."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def percent(part: float, whole: float) -> str:
    """'100' or one decimal, cut and not rounded, so that 100 is said only when it is true; '?' of what has no size yet (a magnet link)."""
    if not whole:
        return "?"
    if part >= whole:
        return "100"
    return f"{int(1000 * part / whole) / 10:.1f}"
