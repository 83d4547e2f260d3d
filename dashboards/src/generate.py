"""Write every board to dashboards/json: ``python -m dashboards.src.generate``."""

from __future__ import annotations

from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.src.boards import BOARDS
from dashboards.src.building import Board, build

JSON = Path(__file__).parents[1] / "json"


def as_json(board: Board) -> str:
    """Return a board as it is committed."""
    return JSONEncoder(sort_keys=True, indent=2).encode(build(board)) + "\n"


if __name__ == "__main__":
    for board in BOARDS:
        (JSON / f"{board.name}.json").write_text(as_json(board))
