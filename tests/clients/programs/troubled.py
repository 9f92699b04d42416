"""Tasks for redun that fail, and tasks that wait for a file to appear."""

import os
import sys
import time
from pathlib import Path

from redun import task

redun_namespace = "troubled"


@task(executor="batch", memory=0.5)
def refuse(what: str) -> str:
    print(f"looking at {what}")
    raise ValueError(f"no {what} today")


@task(executor="batch", memory=0.5)
def vanish() -> None:
    """Ends without a word to redun."""
    print("last words", file=sys.stderr, flush=True)
    os._exit(9)


@task(executor="batch", memory=0.5)
def wait(number: int, flag: str) -> int:
    while not Path(flag).exists():
        time.sleep(0.05)
    return number


@task(executor="batch", memory=0.5)
def wait_alone(flag: str) -> int:
    return wait.func(1000, flag)


@task()
def wait_all(flag: str) -> list[int]:
    return [wait_alone(flag), *(wait(number, flag) for number in range(5))]
