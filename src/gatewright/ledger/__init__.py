"""The memory of authorizations: what was approved, what of it was used up, and what ended. Implements `oauth.ports.Ledger`."""
