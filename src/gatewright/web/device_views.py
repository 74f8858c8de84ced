"""What the pages about devices show: as in `views`, one type for each template."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from gatewright.oauth.device import Told
from gatewright.web.views import Form, Page, Person


class CodeProblem(StrEnum):
    """Why the page for a device's code is shown again; its sentences stand in the template."""

    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    THROTTLED = "throttled"
    STALE = "stale"


class DeviceCode(Page, frozen=True, kw_only=True):
    """The code that a device shows. Field: `user_code`; choice: continue. What came in the address is only written there."""

    form: Form
    person: Person
    sign_out: Form
    code: str = ""
    problem: CodeProblem | None = None
    retry_after: int = 0


class DeviceAsking(Struct, frozen=True, kw_only=True):
    """A device that waits for its user: its code, when and from which network it asked, "" where that is not known.

    `here` tells whether this browser is in that network too, None where nobody can tell; `proved` that the client proved to be itself.
    """

    code: str
    at: int
    network: str
    here: bool | None
    proved: bool = False


class DeviceDone(Page, frozen=True, kw_only=True):
    """What came of the answer to a device; `enter` is where another code is typed."""

    client: str
    told: Told
    access_page: str
    enter: str
