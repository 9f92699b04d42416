"""Where water runs and stands: standing water is level, running water goes down to the edge of the model.

Part of the survey (step A), for it needs the whole model at once: a brook rises far from where it is drawn.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from heapq import heapify, heappop, heappush

from batchyard.relief.model import Model

LAKE_CELLS = 40  # so many neighbours of one and the same elevation are water: SRTM levels it, land never is so flat
STREAM_KM2 = 0.8  # where so much land drains through a cell, a stream is drawn
_OUT, _UNKNOWN = -1, -2
_BOTH_WAYS = (0.8, 0.5, 0.25)  # weights of a cell's next neighbours along a stream when its course is smoothed


def lakes(model: Model) -> bytearray:
    """1 for every cell of standing water, 0 for land."""
    found, seen = bytearray(len(model.metres)), bytearray(len(model.metres))
    for start in range(len(seen)):
        if seen[start]:
            continue
        seen[start] = 1
        level = [start]
        for cell in level:  # grows while we walk
            for beside in _beside(model, cell):
                if not seen[beside] and model.metres[beside] == model.metres[start]:
                    seen[beside] = 1
                    level.append(beside)
        if len(level) >= LAKE_CELLS:
            for cell in level:
                found[cell] = 1
    return found


def _beside(model: Model, cell: int) -> list[int]:
    """The cells that share a side with it."""
    column, size = cell % model.columns, len(model.metres)
    found = [cell - 1] if column else []
    if column < model.columns - 1:
        found.append(cell + 1)
    return found + [other for other in (cell - model.columns, cell + model.columns) if 0 <= other < size]


def drains(model: Model) -> tuple[list[int], list[int]]:
    """For each cell the one that it drains into (-1 at the edges), and all cells, each after the one below it.

    The search comes in from the edges and always goes on at the lowest place it knows, down into hollows too; a cell
    drains to where it was found from. So water leaves a hollow along its floor and over the lowest rim.
    """
    surface, columns, size = _smoothed(model), model.columns, len(model.metres)
    edges = {
        *range(columns),
        *range(size - columns, size),
        *range(0, size, columns),
        *range(columns - 1, size, columns),
    }
    around = (1, -1, columns, -columns, columns + 1, columns - 1, 1 - columns, -1 - columns)
    into = [_UNKNOWN] * size
    for cell in edges:
        into[cell] = _OUT
    heap = [surface[cell] << 48 | cell for cell in edges]  # elevation, then who was found first, then the cell
    heapify(heap)
    order = []
    while heap:
        cell = heappop(heap) & 0xFFFFFF
        order.append(cell)
        for beside in _beside(model, cell) if cell in edges else [cell + step for step in around]:
            if into[beside] == _UNKNOWN:
                into[beside] = cell
                heappush(heap, surface[beside] << 48 | len(order) << 24 | beside)
    return into, order


def _smoothed(model: Model) -> list[int]:
    """Elevations in sixteenths of a metre, each weighed with its eight neighbours: what is flat slopes a little."""
    rows = []
    for number in range(model.rows):
        above, row, below = (model.row(near) for near in (number - 1, number, number + 1))
        down = [a + 2 * b + c for a, b, c in zip(above, row, below, strict=True)]
        sides = zip([down[0], *down[:-1]], down, [*down[1:], down[-1]], strict=True)
        rows += [a + 2 * b + c for a, b, c in sides]
    return rows


def streams(model: Model) -> Iterator[tuple[float, float, float, float, float]]:
    """Pieces of streams: from (east, south) to (east, south) in metres from the north-west corner, and the km² drained.

    Pieces join end to end; a stream ends at the edge of the model.
    """
    into, order = drains(model)
    drained = [1] * len(into)
    for cell in reversed(order):
        if into[cell] >= 0:
            drained[into[cell]] += drained[cell]
    most = STREAM_KM2 / model.cell_km2
    cells = [cell for cell in order if drained[cell] >= most]
    comes_from: dict[int, int] = {}  # the larger one of what flows into a cell
    for cell in cells:
        rival = comes_from.get(into[cell])
        if rival is None or drained[cell] > drained[rival]:
            comes_from[into[cell]] = cell
    course = {cell: _course(model, cell, into, comes_from) for cell in cells}
    for cell in cells:
        if into[cell] >= 0:
            yield (*course[cell], *course[into[cell]], drained[cell] * model.cell_km2)


def _course(model: Model, cell: int, into: Sequence[int], comes_from: dict[int, int]) -> tuple[float, float]:
    """Where the stream runs at the cell, in metres: weighed with three cells down and three up the stream."""
    total, east, south = 1.0, cell % model.columns + 0.5, cell // model.columns + 0.5
    for follow in (into.__getitem__, lambda at: comes_from.get(at, _OUT)):
        at = cell
        for weight in _BOTH_WAYS:
            at = follow(at)
            if at < 0:
                break
            total += weight
            east += weight * (at % model.columns + 0.5)
            south += weight * (at // model.columns + 0.5)
    return east / total * model.east_m, south / total * model.south_m


def packed(pieces: Iterator[tuple[float, ...]]) -> array:
    """Pieces of streams as numbers, five each."""
    return array("d", [number for piece in pieces for number in piece])
