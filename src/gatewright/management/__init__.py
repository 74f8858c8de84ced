"""What can be managed: each act is a row (`base.operation`), found in the one list of `table`, and done by `perform`.

The acts themselves live in the rooms, and what a record may be in the rules of the platform file; here they get their names for the
terminal, the management API and the console, their scopes, and the form of what they take and give.
"""
