"""Proof Key for Code Exchange: who redeems a code is who asked for it (RFC 7636). S256 only; there is no code for `plain`."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

from gatewright.base.digest import b64, same

METHOD: Final = "S256"
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")


def is_challenge(text: str) -> bool:
    """Tell whether a text is the base64url of a SHA-256 digest, which every S256 challenge is (RFC 7636 §4.2)."""
    return _CHALLENGE.fullmatch(text) is not None


def challenge_of(verifier: str) -> str:
    """Return the challenge that belongs to a verifier (RFC 7636 §4.2)."""
    return b64(sha256(verifier.encode()).digest())


def fault(challenge: str | None, verifier: str | None) -> str | None:
    """Return why a verifier does not answer a challenge (RFC 7636 §4.6), or None when it does.

    A verifier without a challenge is a fault as well: somebody took the challenge out of the request (RFC 9700 §4.8.2).
    """
    if challenge is None:
        return None if verifier is None else "a code_verifier was sent, but the code was asked for without a code_challenge"
    if verifier is None:
        return "the code was asked for with a code_challenge, so its code_verifier is needed"
    if _VERIFIER.fullmatch(verifier) is None or not same(challenge_of(verifier), challenge):
        return "the code_verifier does not belong to the code_challenge"
    return None
