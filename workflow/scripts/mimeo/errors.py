"""The one exception for anything that a user can mend: its text is a single line naming the file and the item."""


class MimeoError(Exception):
    """A bad input. The message is one line: which file or ingredient, which key or item, and what is wrong."""
