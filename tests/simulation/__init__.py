"""Thousands of histories of the relay, each the same whenever its seed is played.

A history is a few seconds in the life of one or two instances: writers write, connections break and stall,
the database is away, the stream's place is lost, rights change, readers come, go and move. At every moment
nobody may be shown what must not be (`referee`, `conversation`); in the end everyone holds what the documents
say.

Real: the relay from the pump to the wire (`instance` lists it), and the clients. Simulated: the database
(`world`, over `tests/support/mongo_model.py`), the network (`network`), the clock (`clock`). Not simulated: the change
stream's own cursor (`source.tail`), signatures of tokens, uvicorn's HTTP, several threads.

    scripts/simulate --seeds 1000            so many seeds, with lines of progress
    scripts/simulate --seed 3 --history 17 --show
"""
