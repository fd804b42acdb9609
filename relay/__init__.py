"""The relay: MongoDB change stream in, typed WebSocket messages out."""
