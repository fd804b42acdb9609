"""`relay admin`: who is connected to a running relay, disconnecting a user, and reloading, through its admin API."""
