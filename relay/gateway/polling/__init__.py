"""Long polling (`POST /poll`): sends the messages of the protocol to clients that cannot open a WebSocket."""
