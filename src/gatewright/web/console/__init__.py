"""The console: a tenant's platform as pages for whoever manages it. One file for each room; `table` names every page."""

import gatewright.web.pages  # noqa: F401 - it has the console's table among its own, so it is there first whichever is asked for first
