"""A WebSocket from its handshake to its close, and what all of them share: endpoints, timers, pacing of writes."""
