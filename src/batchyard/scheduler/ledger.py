"""Who holds how much of which provider. Room is taken when an attempt opens and given back when it closes."""

from __future__ import annotations

from batchyard.model.needs import Needs
from batchyard.scheduler.state import State


def free(state: State, environment: int) -> Needs:
    """Room that attempts of the environment could still take (negative after a provider shrank)."""
    provider = state.providers.get(state.environments[environment].provider)
    return Needs(0, 0, 0) if provider is None else provider.room.minus(provider.used)


def take(state: State, environment: int, needs: Needs) -> None:
    place = state.environments[environment]
    place.open += 1
    provider = state.providers[place.provider]
    provider.used = provider.used.plus(needs)


def give_back(state: State, environment: int, needs: Needs) -> None:
    place = state.environments[environment]
    place.open -= 1
    provider = state.providers[place.provider]
    provider.used = provider.used.minus(needs)
    state.unsettled = True
