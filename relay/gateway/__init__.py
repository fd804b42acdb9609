"""The endpoints that clients connect to: WebSocket, long polling and plain HTTP."""
