"""Who reads: each kind of reader drives a client of its kind, and says in the end what differs."""
