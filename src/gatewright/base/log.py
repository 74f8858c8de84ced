"""The log: events from one closed list, a JSON object or a line of text each, on stderr. No secret passes.

Every value goes through `base.mask`, so a token that slips into a field comes out hidden; control characters come out escaped,
so nobody can forge a line. Whoever has something to tell is handed a `Log`: there is no global one.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, Mapping
from enum import Enum, IntEnum
from typing import Final, Literal

import msgspec

from gatewright.base.calendar import stamp_ms
from gatewright.base.mask import LONGEST, mask, masked
from gatewright.base.moment import Clock, Moment

Style = Literal["text", "json"]
_INCIDENT_ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


class Level(IntEnum):
    """How much an event matters; a log tells those at or above its own level."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


class Event(Enum):
    """Everything that may be logged: its name, its level and what it means. A closed list."""

    SERVER_STARTED = ("server.started", Level.INFO, "The server answers at its address.")
    SERVER_UNREACHED = ("server.unreached", Level.WARNING, "No tenant has a domain at which the server can be reached.")
    SERVER_STOPPING = ("server.stopping", Level.INFO, "A signal came: no new connections, those under way are finished.")
    SERVER_STOPPED = ("server.stopped", Level.INFO, "Everything under way was finished or given up.")
    SERVER_NOT_READY = ("server.not_ready", Level.ERROR, "Requests are refused until the cause named is gone.")
    WORKER_STARTED = ("worker.started", Level.INFO, "A worker process answers.")
    WORKER_DIED = ("worker.died", Level.ERROR, "A worker process ended by itself and is started again.")
    CLOCK_OFF = ("clock.off", Level.WARNING, "This machine's clock differs from the database's.")
    ROOT_KEY_IN_ENVIRONMENT = ("root_key.in_environment", Level.INFO, "The root key was taken from the environment.")
    ROOT_KEY_REFUSED = ("root_key.refused", Level.ERROR, "The root key cannot be read, or is not this store's.")
    STORE_OPENED = ("store.opened", Level.INFO, "The database is open and its schema current.")
    STORE_MIGRATED = ("store.migrated", Level.INFO, "A step of the schema was applied.")
    STORE_UNAVAILABLE = ("store.unavailable", Level.ERROR, "The database cannot be reached or refuses to work.")
    STORE_BACK = ("store.back", Level.INFO, "The database answers again.")
    STORE_BUSY = ("store.busy", Level.WARNING, "Too many writes wait; requests are answered 503.")
    STORE_RETRIED = ("store.retried", Level.DEBUG, "A transaction was repeated after a serialization failure or a lost line.")
    STORE_SLOW = ("store.slow", Level.WARNING, "A commit took much longer than usual.")
    FEED_SILENT = ("feed.silent", Level.WARNING, "Changes of other processes are not heard; caches are passed by.")
    FEED_BACK = ("feed.back", Level.INFO, "Changes of other processes are heard again.")
    KEY_MADE = ("key.made", Level.INFO, "A signing key was made; it is published before it signs.")
    KEY_ROTATED = ("key.rotated", Level.INFO, "Another signing key signs from now on.")
    KEY_RETIRED = ("key.retired", Level.INFO, "A signing key is no longer published: its last token is dead.")
    REQUEST = ("request", Level.DEBUG, "A request was answered.")
    REQUEST_REFUSED = ("request.refused", Level.INFO, "A request was refused, with the code it was told and, in `why`, the reason.")
    REQUEST_FAILED = ("request.failed", Level.ERROR, "A request met a fault of ours and was answered 500 with this incident id.")
    REQUEST_MALFORMED = ("request.malformed", Level.DEBUG, "What came was no HTTP request, or too big.")
    HOST_UNKNOWN = ("host.unknown", Level.INFO, "Requests named hosts that no tenant has, this one the last; told once a minute at most.")
    CALL_REFUSED = ("call.refused", Level.INFO, "An API refused a call and asked why; its caller has the id in `decision`.")
    REPLAY = ("replay", Level.WARNING, "A code or refresh token came again; its authorization was ended.")
    SIGN_IN_REFUSED = ("sign_in.refused", Level.INFO, "A sign-in failed; the page says the same for every cause.")
    SIGN_IN_THROTTLED = ("sign_in.throttled", Level.WARNING, "Sign-ins of one name or network are slowed down.")
    PASSWORD_QUEUE_FULL = ("password_queue.full", Level.WARNING, "More sign-ins than can be hashed in time; some were answered 503.")
    FETCH_FAILED = ("fetch.failed", Level.INFO, "A document of somebody else could not be fetched.")
    EVENT_UNDELIVERED = ("event.undelivered", Level.INFO, "An event for an app was not taken; it is sent again, or given up.")
    EVENTS_DISABLED = ("events.disabled", Level.WARNING, "An app's address for events answered 410; nothing more is sent there.")
    JOB_DONE = ("job.done", Level.DEBUG, "A periodic job finished.")
    JOB_FAILED = ("job.failed", Level.ERROR, "A periodic job failed; it is tried again.")
    DOMAIN_MOVED = ("domain.moved", Level.WARNING, "The proof of whose a domain is appeared, is missing, or has been for too long.")
    SWEPT = ("swept", Level.DEBUG, "Rows that nothing can ask for any more were deleted.")
    MANAGED = ("managed", Level.INFO, "Somebody changed what is configured; the audit log has the details.")
    SETTING_WEAK = ("setting.weak", Level.WARNING, "A setting makes this deployment less safe than its default.")
    LIBRARY = ("library", Level.WARNING, "A library that we use had something to say.")

    def __init__(self, label: str, level: Level, meaning: str) -> None:
        self.label = label
        self.level = level
        self.meaning = meaning


def to_stderr(line: str) -> None:
    """Write one line in one call, so that the lines of several processes do not run into each other."""
    try:
        sys.stderr.write(line)
        sys.stderr.flush()
    except (OSError, ValueError):
        return  # nobody listens any more; a server does not stop answering for that


class Log:
    """Tells events at or above its level, each with the fields that it was made with."""

    __slots__ = ("_clock", "_fields", "_level", "_style", "_write")

    def __init__(
        self,
        clock: Clock,
        *,
        style: Style = "text",
        level: Level = Level.INFO,
        write: Callable[[str], None] = to_stderr,
        fields: Mapping[str, object] | None = None,
    ) -> None:
        self._clock = clock
        self._style = style
        self._level = level
        self._write = write
        self._fields = dict(fields or {})

    def about(self, **fields: object) -> Log:
        """Return a log that adds these fields to each event: a request's id, a worker's number."""
        return Log(self._clock, style=self._style, level=self._level, write=self._write, fields={**self._fields, **fields})

    def tells(self, event: Event) -> bool:
        """Tell whether an event would be written, for a caller whose fields are costly to gather."""
        return event.level >= self._level

    def tell(self, event: Event, **fields: object) -> None:
        """Write an event; below the level of the log this does nothing."""
        if event.level >= self._level:
            self._put(event, event.level, {**self._fields, **fields})

    def crashed(self, event: Event, error: BaseException, **fields: object) -> None:
        """Write an event with the traceback of what went wrong, secrets hidden."""
        if event.level >= self._level:
            trace = "".join(traceback.format_exception(error))
            self._put(event, event.level, {**self._fields, **fields, "traceback": mask(trace)[-LONGEST:]})

    def heard(self, level: Level, library: str, text: str) -> None:
        """Write what a library said through Python's own logging."""
        if level >= self._level:
            self._put(Event.LIBRARY, level, {**self._fields, "library": library, "text": text})

    def _put(self, event: Event, level: Level, fields: Mapping[str, object]) -> None:
        at = stamp_ms(self._clock.moment().now_ms)
        safe = masked(fields)
        assert isinstance(safe, dict)  # noqa: S101 - a mapping stays one
        self._write(_as_json(at, event, level, safe) if self._style == "json" else _as_text(at, event, level, safe))


def _as_json(at: str, event: Event, level: Level, fields: dict[str, object]) -> str:
    return msgspec.json.encode({"at": at, "level": level.name.lower(), "event": event.label, **fields}).decode() + "\n"


def _as_text(at: str, event: Event, level: Level, fields: dict[str, object]) -> str:
    trace = fields.pop("traceback", None)
    line = " ".join([at, f"{level.name:<7}", event.label, *(f"{name}={_plain(value)}" for name, value in fields.items())])
    if trace is None:
        return line + "\n"
    return line + "\n" + "".join(f"    {_escaped(part)}\n" for part in str(trace).splitlines())


def _plain(value: object) -> str:
    text = _escaped(value if isinstance(value, str) else msgspec.json.encode(value).decode())
    return f'"{text}"' if isinstance(value, str) and (not text or " " in text or "=" in text) else text


def _escaped(text: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def incident(at: Moment) -> str:
    """Return a name for one fault, short enough to be read out: it stands on the page and in the log."""
    drawn = int.from_bytes(at.dice.bytes(8), "big")
    chars = []
    for _ in range(8):
        drawn, place = divmod(drawn, len(_INCIDENT_ALPHABET))
        chars.append(_INCIDENT_ALPHABET[place])
    return "".join(chars[:4]) + "-" + "".join(chars[4:])


class Bridge(logging.Handler):
    """Hands on what libraries say through Python's logging, masked like everything else."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Hand on one record; a fault in it may not hurt whoever logged."""
        try:
            text = record.getMessage()
            if record.exc_info and record.exc_info[1] is not None:
                text += "\n" + "".join(traceback.format_exception(record.exc_info[1]))
        except Exception:  # noqa: BLE001 - a record whose arguments do not fit its text
            text = mask(str(record.msg))
        level = max((known for known in Level if known <= record.levelno), default=Level.DEBUG)
        self._log.heard(level, record.name, text)
