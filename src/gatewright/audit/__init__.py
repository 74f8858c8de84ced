"""What happened, by whom and when: written in the transaction of the act itself, never changed, and free of secrets."""
