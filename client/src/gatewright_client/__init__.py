"""Calls an API as an OAuth 2.0 client: obtains tokens, renews and keeps them, puts them on, and explains refusals.

The doors, `gatewright_client.httpx` and `gatewright_client.requests`, the file store and the private key are imported by their own names,
since each needs something that a program may not have.
"""

from gatewright_client.device import Prompt, sign_in
from gatewright_client.errors import ClientFault, NotSignedIn, Refused, SignInNeeded, StoreFault, Unavailable, WrongOrigin
from gatewright_client.problem import ApiRefused, Problem, explain, raise_for_problem
from gatewright_client.proof import Assertion, Public, Secret
from gatewright_client.server import Endpoints, Server
from gatewright_client.source import TokenSource
from gatewright_client.stores import Callbacks, Memory, Store
from gatewright_client.tokens import Tokens

__all__ = [
    "ApiRefused",
    "Assertion",
    "Callbacks",
    "ClientFault",
    "Endpoints",
    "Memory",
    "NotSignedIn",
    "Problem",
    "Prompt",
    "Public",
    "Refused",
    "Secret",
    "Server",
    "SignInNeeded",
    "Store",
    "StoreFault",
    "TokenSource",
    "Tokens",
    "Unavailable",
    "WrongOrigin",
    "explain",
    "raise_for_problem",
    "sign_in",
]
__version__ = "0.1.0"
