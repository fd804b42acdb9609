"""The conversation and its carriers: WebSocket and HTTP."""
