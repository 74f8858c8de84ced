"""One request and its answer at uvicorn's protocol, which leaves in one piece: head and body are one call of the system, not two.

uvicorn looks at every field of every answer for what would end its line. Most fields are the same in one answer after the other, and a
line that was good stays good; the others are looked at each time, as there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

if TYPE_CHECKING:
    from gatewright.web.ask import Message

Field = tuple[bytes, bytes]

# RFC 9110 §5.6.2, token; §5.5, field-value: nothing that ends a line, and no other control character but the tab.
_NAME: Final = re.compile(rb"[A-Za-z0-9!#$%&'*+\-.^_`|~]+")
_NOT_IN_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_LENGTH: Final = b"content-length"
# What else says where a message ends is left to uvicorn.
_FRAMING: Final = frozenset({b"connection", b"transfer-encoding"})
# Fields whose values come again and are no secrets: no cookie and no address with a code in it is kept.
_AGAIN: Final = frozenset(
    {
        *(b"cache-control", b"content-type", _LENGTH, b"date", b"vary", b"x-content-type-options"),
        *(b"access-control-allow-origin", b"access-control-expose-headers"),
        *(b"gatewright-" + name for name in (b"decision", b"user", b"client", b"scope", b"account-id", b"account", b"authorization")),
    }
)
_KEPT: Final = 4096


class Cycle(RequestResponseCycle):
    """uvicorn's, with a shorter way for an answer whose length is known."""

    _head: bytes | None = None  # waits for its body, which follows at once

    async def send(self, message: Message) -> None:  # type: ignore[override] # uvicorn has a type for each message
        """Take a part of the answer."""
        if not (self._ended(message) if self.response_started else self._begun(message)):
            await super().send(message)  # type: ignore[arg-type] # the same message

    def _begun(self, message: Message) -> bool:
        """Put together the head of an answer that ends with its length; tell whether it was one."""
        fields = message.get("headers")
        if not fields or fields[-1][0] != _LENGTH or self.disconnected or self.access_log or self.flow.write_paused:
            return False
        head, lines = [STATUS_LINE[message["status"]]], _lines
        for field in [*self.default_headers, *fields]:
            line = lines.get(field) or _line(field)
            if line is None:
                return False
            head.append(line)
        head.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        self._head = b"".join(head)
        self.expected_content_length = int(fields[-1][1])
        self.chunked_encoding = False
        self.response_started = True
        self.waiting_for_100_continue = False
        return True

    def _ended(self, message: Message) -> bool:
        """Send head and body; tell whether that was all of the answer."""
        head, self._head = self._head, None
        if head is None:
            return False
        if self.disconnected:
            return True
        body = message.get("body", b"")
        if message.get("more_body") or len(body) != self.expected_content_length or self.scope["method"] == "HEAD":
            self.transport.write(head)
            return False
        self.transport.write(head + body)
        self.expected_content_length = 0
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
        return True


_lines: Final[dict[Field, bytes]] = {}


def _line(field: Field) -> bytes | None:
    """Return a field as the line that it is; None where it says how the message ends.

    Raises:
        RuntimeError: it would be more than a line, or none.
    """
    name, value = field
    if name in _FRAMING:
        return None
    if _NAME.fullmatch(name) is None or _NOT_IN_VALUE.search(value) is not None:
        raise RuntimeError("a field of the answer holds what no field may hold")
    line = b"%b: %b\r\n" % (name.lower(), value)
    if name in _AGAIN:
        if len(_lines) >= _KEPT:
            _lines.clear()
        _lines[field] = line
    return line
