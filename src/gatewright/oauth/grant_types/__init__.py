"""The kinds of credential that the token endpoint takes (RFC 6749 §1.3): a closed table of modules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gatewright.oauth.grant_types import (
    authorization_code,
    client_credentials,
    device_code,
    install_cleanup,
    password,
    refresh_token,
)
from gatewright.oauth.grant_types.approval import Approval, Call, GrantType

__all__ = ["GRANT_TYPES", "OFFERED", "Approval", "Call", "GrantType", "authorization_code"]

_TABLE: Final[tuple[GrantType, ...]] = (authorization_code, refresh_token, client_credentials, device_code, password, install_cleanup)

GRANT_TYPES: Final[Mapping[str, GrantType]] = {grant_type.NAME: grant_type for grant_type in _TABLE}

OFFERED: Final = tuple(grant_type.NAME for grant_type in _TABLE if grant_type is not password)
"""What metadata says (RFC 8414 §2): an exception that single clients have is no offer to everybody."""
