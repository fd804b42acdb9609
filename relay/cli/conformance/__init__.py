"""`relay conformance`: play the relay's side against a client of any language, and say what it does wrong.

`run.py` starts the client once for each scenario and collects the results, `report.py` prints them. In a scenario,
`exam.py` judges the client and holds what it has sent and shown; `listener.py` serves its connections and polls,
`socket.py` is one WebSocket, `world.py` the task and the list that the client is shown. `client.py` runs the client.
`scenarios/` has the scenarios. `vectors/` has examples of messages for tests of a client's own.
"""
