"""What the api asks the store about consumable resources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from batchyard.model.consumables import ConsumableChange, NewConsumable
from batchyard.model.jobs import Deletion

if TYPE_CHECKING:
    from batchyard.ports import JobRow, NameMatch


class ConsumableRow(NamedTuple):
    """A resource that exists. `total` is what there is to be in all, `held` what open attempts have of it: more than
    `total` for a while if somebody took some away."""

    id: int
    region: str
    name: str
    replenishable: bool
    total: int
    held: int
    created_ms: int
    body: dict[str, Any]


class AskingJob(NamedTuple):
    """A job or array parent, with its body, and how much each of its attempts asks for of a resource."""

    row: JobRow
    quantity: int


class AskingPage(NamedTuple):
    rows: list[AskingJob]
    rest: int | None  # the number below which to go on; None: there is no more


class ConsumableIntake(Protocol):
    """Writes what was asked about consumable resources."""

    async def create_consumable(self, new: NewConsumable) -> None:
        """Store it; ClientError `Object already exists` if it does."""

    async def update_consumable(self, change: ConsumableChange) -> int | None:
        """Store the change and return what there is to be in all; None if there is no such resource. ClientError if
        that cannot be."""

    async def delete_consumable(self, deletion: Deletion) -> bool:
        """Delete it at once, whoever has or wants some of it; False if there is no such resource."""


class ConsumableReader(Protocol):
    """Reads of consumable resources."""

    def consumable(self, region: str, name: str) -> ConsumableRow | None: ...

    def consumables(
        self, region: str, names: tuple[NameMatch, ...] | None, after: str, limit: int
    ) -> list[ConsumableRow]:
        """By name in any case, those after the name `after`; with `names` those only that match one of them."""

    def asking(
        self, consumable: int, names: tuple[NameMatch, ...] | None, statuses: frozenset[int], before: int | None,
        limit: int,
    ) -> AskingPage:  # fmt: skip
        """The jobs and array parents that ask for the resource, newest first, with a number below `before`; only those
        whose name matches one of `names`, and whose status is one of `statuses`, unless those are empty.

        A call looks at so many jobs and no more: a page may be short, even empty, though there is more.
        """
