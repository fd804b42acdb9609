"""`relay tail`: follow a relay, or MongoDB itself, on a terminal.

`follow.py` is the loop over the messages of a relay, `direct.py` the one over the changes of a database. `render.py`
makes lines of messages, `changes.py` of changes; `descriptions.py` says what is essential in one message, and
`lines.py` puts it into columns. `types.py` selects messages by their type.
"""

from relay.cli.tail.descriptions import describe
from relay.cli.tail.follow import run
from relay.cli.tail.lines import TYPE_WIDTH
from relay.cli.tail.options import Selection
from relay.cli.tail.render import Renderer
from relay.cli.tail.types import CONVERSATION

__all__ = [
    "CONVERSATION",
    "TYPE_WIDTH",
    "Renderer",
    "Selection",
    "describe",
    "run",
]
