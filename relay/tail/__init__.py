"""`relay tail`: the stream on a terminal, from a relay or straight from MongoDB.

`follow` is the loop over a relay's messages, `direct` the one over the database's changes; `render` and `text`
make lines of them.
"""

from relay.tail.follow import run
from relay.tail.lines import TYPE_WIDTH
from relay.tail.options import Selection
from relay.tail.render import CONVERSATION, Renderer
from relay.tail.text import describe, visible

__all__ = [
    "CONVERSATION",
    "TYPE_WIDTH",
    "Renderer",
    "Selection",
    "describe",
    "run",
    "visible",
]
