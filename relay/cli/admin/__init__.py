"""`relay admin`: who is connected to a running relay, and disconnecting a user, through its admin API."""
