"""The one exception of the plan."""


class ConfigError(Exception):
    """A bad configuration: one line that names the file, the key and what is wrong."""
