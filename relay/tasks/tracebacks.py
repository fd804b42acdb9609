"""Cut a traceback of Python where it matters least. Pure."""

from __future__ import annotations

from relay.tasks.scalars import bounded

FIRST_LINE = "Traceback (most recent call last):"
CUT = "\n…\n"  # stands in place of the lines that were cut out


def without_middle(error: str, limit: int) -> str:
    """Return the text of an error, cut to at most `limit` characters.

    Python says in the last lines of a traceback what failed, and where. So of a text with a traceback, what stands
    before the traceback, its first line and its last lines are kept, with a line "…" in place of the lines between
    them. A last line for which there is no room is cut at its end. If there is no traceback, or what stands before it
    takes more than half of the room, the text is cut at its end.
    """
    if len(error) <= limit:
        return error
    before, first_line, frames = error.partition(FIRST_LINE)
    kept = before + first_line + CUT
    if not first_line or len(kept) > limit / 2:
        return bounded(error, limit)
    room = limit - len(kept)
    frames = frames.rstrip()
    line_break = frames.find("\n", max(0, len(frames) - room - 1))
    last_lines = frames[line_break + 1 :] if line_break >= 0 else bounded(frames.rpartition("\n")[2], room)
    return kept + last_lines
