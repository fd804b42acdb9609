"""The relay: reads a MongoDB change stream, and sends typed messages over WebSocket.

A change passes these folders from left to right. Each imports only folders to its left:

    source -> tasks -> feed -> hub -> gateway

`source` follows the change stream, `tasks` says what a change means and who may see it, `feed` keeps the order, `hub`
knows the subscribers of each task, and `gateway` speaks with clients. `auth` decides who may connect, and `protocol`
declares the messages.

`pipeline.py` builds `source`, `tasks` and `feed` from the settings; `app.py` adds the rest and runs a relay. `cli`
has the commands, `client` is the Python client, and `web` holds the browser client, the React hooks and the dashboard.
"""
