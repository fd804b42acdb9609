"""`relay tail`: the stream on a terminal, from a relay or straight from MongoDB.

`follow` is the loop over a relay's messages, `direct` the one over the database's changes; `render` and
`descriptions` make lines of them.
"""

from relay.cli.tail.descriptions import describe
from relay.cli.tail.follow import run
from relay.cli.tail.lines import TYPE_WIDTH
from relay.cli.tail.options import Selection
from relay.cli.tail.render import CONVERSATION, Renderer

__all__ = [
    "CONVERSATION",
    "TYPE_WIDTH",
    "Renderer",
    "Selection",
    "describe",
    "run",
]
