"""What a scenario can break, by name."""


class InvariantViolated(AssertionError):
    """`kind` is a word that tests of wrong policies ask for."""

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(f"{kind}: {what}")
        self.kind = kind


def violated(is_so: bool, kind: str, what: str) -> None:
    """Raise InvariantViolated if it is so."""
    if is_so:
        raise InvariantViolated(kind, what)
