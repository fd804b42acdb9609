"""`POST /poll`: the wire for clients that no WebSocket reaches."""
