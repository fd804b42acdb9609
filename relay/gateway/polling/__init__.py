"""`POST /poll`: the same messages for clients that cannot open a WebSocket."""
