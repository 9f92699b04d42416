"""The commonest words of a text, counted in parts on AWS Batch: `redun -c config run words.py main --text FILE`."""

import re
from collections import Counter

from redun import File, task

redun_namespace = "words"

PARTS = 6  # five or more equal tasks become one array job


@task(executor="batch", memory=1)
def count(part: str) -> dict[str, int]:
    """A job, or a child of an array job, for each part."""
    counts = Counter(re.findall("[a-z]+", part.lower()))
    print(f"counted {counts.total()} words")
    return dict(counts)


@task(executor="batch", memory=1)
def add(parts: list[dict[str, int]]) -> dict[str, int]:
    """One more job, when all parts are counted."""
    return dict(sum(map(Counter, parts), Counter()))


@task()
def commonest(counts: dict[str, int]) -> list[tuple[str, int]]:
    return Counter(counts).most_common(5)


@task()
def main(text: File) -> list[tuple[str, int]]:
    """Here: every sixth line of the text is a part."""
    lines = text.read().splitlines()
    return commonest(add([count("\n".join(lines[number::PARTS])) for number in range(PARTS)]))
