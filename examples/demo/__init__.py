"""The demo: a platform with three APIs, an app of somebody else, a front end of its own and a back-end service."""
