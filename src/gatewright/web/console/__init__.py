"""The console: a tenant's platform as pages for whoever manages it. One file for each room; `table` names every page."""
