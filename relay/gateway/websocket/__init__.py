"""WebSocket connections from the handshake to the close, and what all of them share: endpoints, timers, write
pacing."""
