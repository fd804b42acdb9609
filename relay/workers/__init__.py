"""Several relay processes on one port, so that the relay uses every core of a machine (`relay serve --workers N`).

A *parent* (`supervisor`) serves no clients: it opens the listening sockets (`ports`), starts the children (`starter`),
restarts those that die, replaces them one after the other when it is asked to (`slot`), and answers for all of them
(`operations`). Its children are the *workers* (`worker`), each a whole relay with an event loop of its own, and one
*tailer* (`tailer`), which follows the change stream for all workers. Parent and child talk through a socket pair
(`channel`).
"""
