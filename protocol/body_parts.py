"""Bodies longer than a frame: cut into BodyParts on one side, joined and bounded on the other."""

from protocol.errors import LocalProtocolError
from protocol.limits import BODY_PART_BYTES, MAX_API_CALLS
from protocol.web_messages import BodyPart


def cut_body(number: int, body: bytes) -> tuple[list[BodyPart], bytes]:
    """Return the parts that go ahead under `number`, and what is left for the message that follows them."""
    last = max(0, (len(body) - 1) // BODY_PART_BYTES) * BODY_PART_BYTES
    return [BodyPart(number, body[start:start + BODY_PART_BYTES]) for start in range(0, last, BODY_PART_BYTES)], body[last:]


class PartJoiner:
    """Parts that wait for the message that they belong to. Both ends are ours, so what is too much is a LocalProtocolError."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes                   # of one body
        self._parts: dict[int, bytearray] = {}

    def add(self, part: BodyPart) -> None:
        """Keep it. Raises LocalProtocolError when a body becomes too long, or too many are under way."""
        if part.number not in self._parts and len(self._parts) >= MAX_API_CALLS:
            raise LocalProtocolError(f"parts of more than {MAX_API_CALLS} bodies at once")
        body = self._parts.setdefault(part.number, bytearray())
        self._check(part.number, len(body) + len(part.data))
        body += part.data

    def join(self, number: int, last: bytes) -> bytes:
        """Return the whole body and forget its parts. Raises LocalProtocolError when it is too long."""
        parts = self._parts.pop(number, None)
        self._check(number, len(parts or b"") + len(last))
        return last if parts is None else bytes(parts + last)

    def _check(self, number: int, size: int) -> None:
        if size > self._most_bytes:
            raise LocalProtocolError(f"body {number} of {size} bytes or more, at most {self._most_bytes}")
