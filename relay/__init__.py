"""The relay: MongoDB change stream in, typed WebSocket messages out.

A change passes these folders from left to right, and each imports only what lies left of it:

    source -> tasks -> feed -> hub -> gateway

`source` follows the change stream, `tasks` says what a change means and who may see it, `feed` keeps the
order, `hub` knows who listens, and `gateway` speaks with clients. `auth` decides who may connect, `protocol`
is the wire contract; `app.py` puts everything together, `cli` has the commands, `client` is the Python
client and `web` holds the browser client, the React hooks and the dashboard.
"""
