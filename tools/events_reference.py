"""Writes docs/reference/events.md from the closed lists themselves; run without arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gatewright.webhooks.book import ROTATION
from gatewright.webhooks.records import MEANINGS, EventType
from gatewright.webhooks.rules import GIVE_UP_AFTER, LONGEST_DELAY, LONGEST_RETRY_AFTER

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "reference" / "events.md"
_HOUR: Final = 3600

_HEAD: Final = f"""# Events

What a client with an `event_url` is told. [Receive events](../guides/receive-events.md) shows how to take them.

Each is a POST of `application/json`, signed as [Standard Webhooks](https://www.standardwebhooks.com) says:

| header | holds |
| --- | --- |
| `webhook-id` | the event's id, the same at every attempt: what tells a repeat |
| `webhook-timestamp` | when this attempt was made, seconds since 1970 |
| `webhook-signature` | `v1,` and the HMAC-SHA256 of id, timestamp and body, in base64; two of them while a secret is replaced |

The body has three members: `type`, `timestamp` (when it happened) and `data`, which names the `client_id` and what stands below. It
holds ids and words of ours alone: never a token, and of a person nothing but the id. A member that does not apply is `null`.

```json
{{
  "type": "grant.revoked",
  "timestamp": "2027-01-15T08:00:00Z",
  "data": {{
    "client_id": "budget-buddy",
    "grant_id": "gr_0c3p5w8q000g1",
    "account_id": "ac_0c3p4zjv400g0",
    "user_id": "us_0c3p4zjvc00g1",
    "because": "withdrawn"
  }}
}}
```

- An event is sent if and only if the change that it tells of was committed.
- It comes **at least once**: the same `webhook-id` may come again. The **order is not promised**.
- Any status from 200 to 299 within ten seconds takes it. Nothing else of the answer is read but `Retry-After`; no redirect is followed.
- What is not taken is tried again after 10 s, 40 s and so on, four times longer each time up to {LONGEST_DELAY // _HOUR} hours, a tenth
  more or less, for {GIVE_UP_AFTER // (24 * _HOUR)} days. Then it is given up and can be replayed. `Retry-After` is kept to, up to
  {LONGEST_RETRY_AFTER // _HOUR} hours.
- `410` stops everything for that address, until it is enabled again.
- A secret that is replaced signs along for {ROTATION // _HOUR} hours.

This page is made from the code (`tools/events_reference.py`).

## Types
"""

_OUTCOMES: Final = """
## What becomes of an attempt

`gatewright events show` lists each attempt with its time, its status and one of these words; what an address answered beside its
status is not kept.

| outcome | means |
| --- | --- |
"""


def page() -> str:
    """Return the whole page."""
    parts = [_HEAD]
    for kind in EventType:
        members = ", ".join(f"`{name}`" for name in kind.members) or "nothing more"
        parts.append(f"\n### {kind.label}\n{kind.meaning}\n\n`data`: {members}\n")
    parts.append(_OUTCOMES)
    parts += [f"| `{outcome.value}` | {meaning} |\n" for outcome, meaning in MEANINGS.items()]
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
