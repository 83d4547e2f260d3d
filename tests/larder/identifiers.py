"""Numbers in URLs: those that a row can have. Longer ones are the URL of nothing.

PostgreSQL says loudly that a column has no room for one, and Python that it has too many digits.
"""

from __future__ import annotations

from starlette.convertors import Convertor, register_url_convertor


class IdConvertor(Convertor[int]):
    """A whole number with room in 31 bits, as ``{user:id}`` in a path."""

    regex = "[0-9]{1,9}"

    def convert(self, value: str) -> int:
        """Return what a URL names."""
        return int(value)

    def to_string(self, value: int) -> str:
        """Return what names it in a URL."""
        return str(value)


def register() -> None:
    """Let paths have ``{name:id}``, in the routes that are made from now on."""
    register_url_convertor("id", IdConvertor())
