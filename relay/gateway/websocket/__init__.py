"""One WebSocket connection from its handshake to its close, and the timers of all of them."""
