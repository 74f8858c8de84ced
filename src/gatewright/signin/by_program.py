"""A user's name and password as a program shows them at the token endpoint. Implements `oauth.ports.People`.

The same counters slow it down as the sign-in page, and it stands behind the page in the line for a hash (`security-rules` 63). No known
browser speeds it up: cookies are not read there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewright.oauth.errors import TemporarilyUnavailable
from gatewright.oauth.showing import Shown
from gatewright.signin.by_password import Attempt, Mismatch, PasswordDoor, Wait, Who, forgive_and_renew
from gatewright.signin.pool import Lane

if TYPE_CHECKING:
    from gatewright.base.moment import Moment
    from gatewright.oauth.showing import Showing


class RoomPeople:
    """The `People` port over the door that pages use."""

    __slots__ = ("_door",)

    def __init__(self, door: PasswordDoor) -> None:
        self._door = door

    async def prove(self, showing: Showing, at: Moment) -> Shown | None:
        """Return who showed the right password, if it may be shown there.

        Raises:
            TemporarilyUnavailable: there were too many attempts, or too many people sign in at once.
        """
        attempt = Attempt(
            issuer=showing.issuer,
            username=showing.username,
            password=showing.password,
            address=showing.address,
            client=showing.client,
        )
        proof = await self._door.prove(attempt, at, lane=Lane.TOKEN, refusal=lambda who: to_a_program(who, people=showing.people))
        if isinstance(proof, Mismatch):
            return None
        if isinstance(proof, Wait):
            raise TemporarilyUnavailable(
                "many people are signing in right now; try again in a moment"
                if proof.busy
                else "too many attempts to sign in: try again later",
                retry_after=proof.seconds,
                why="the passwords of users are guessed at" if not proof.busy else "passwords: the queue is full",
            )
        await self._door.store.run(forgive_and_renew, proof)
        return Shown(proof.who.id, proof.who.epoch, proof.who.kind)


def to_a_program(who: Who, *, people: bool) -> str:
    """Return why a password that is right opens nothing to a program, for the audit log alone; "" where it does."""
    if who.disabled_at is not None:
        return "disabled"
    if who.second_factor_at is not None:
        return "second factor"
    return "person" if who.kind == "person" and not people else ""
