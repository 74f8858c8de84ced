"""Events for apps: an outbox written in the transaction of the change, and its delivery, signed as Standard Webhooks says.

It lies below the rooms that have something to tell. What delivers needs the network and the root key, which lie above it, so both
are handed in (`ports`).
"""
