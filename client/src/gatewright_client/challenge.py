"""What an API's `WWW-Authenticate` asks for (RFC 9110 §11.6.1, RFC 6750 §3)."""

import re
from typing import Final

_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER: Final = re.compile(rf'({_NAME})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({_NAME}))(?=[ \t]*(?:,|$))')
_SCHEME: Final = re.compile(rf"({_NAME})(?:[ \t]+|(?=,)|$)")
_TOKEN68: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))")
_BETWEEN: Final = re.compile(r"[ \t,]*")
_LONGEST: Final = 8192


def challenges(header: str) -> list[tuple[str, dict[str, str]]]:
    """Every challenge of a header, or of several that were joined by commas: its scheme in lower case, and its parameters.

    What cannot be read ends the list; nothing is guessed.
    """
    found: list[tuple[str, dict[str, str]]] = []
    header = header[:_LONGEST]
    at = _end(_BETWEEN, header, 0)
    while at < len(header):
        if found and (parameter := _PARAMETER.match(header, at)):
            name, quoted, plain = parameter.groups()
            found[-1][1].setdefault(name.lower(), plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
            at = _end(_BETWEEN, header, parameter.end())
        elif scheme := _SCHEME.match(header, at):
            found.append((scheme[1].lower(), {}))
            at = scheme.end()
            if not _PARAMETER.match(header, at) and (token := _TOKEN68.match(header, at)) and not _SCHEME_AHEAD.match(header, at):
                at = token.end()
            at = _end(_BETWEEN, header, at)
        else:
            break
    return found


# "Basic, Bearer x=y": after a comma the next word is a scheme, not the credentials of the one before.
_SCHEME_AHEAD: Final = re.compile(r"[ \t]*,")


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return at if found is None else found.end()


def bearer_challenge(header: str) -> dict[str, str] | None:
    """The parameters of the first Bearer challenge; None if there is none."""
    return next((parameters for scheme, parameters in challenges(header) if scheme == "bearer"), None)
