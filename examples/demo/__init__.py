"""The demo: a platform with three APIs, an app of somebody else, a front end of its own and a back-end service."""

import warnings

from authlib.deprecate import AuthlibDeprecationWarning

# Authlib says at import that it will want another HTTP library some day; a visitor of the demo need not hear it.
warnings.filterwarnings("ignore", category=AuthlibDeprecationWarning)
