"""The commonest words of a text, counted in parts on AWS Batch: `python words.py run --text FILE`."""

import re
from collections import Counter

from metaflow import FlowSpec, IncludeFile, batch, current, retry, step

PARTS = 3


class Words(FlowSpec):
    text = IncludeFile("text", help="the text", required=True)

    @step
    def start(self):
        """Here: every third line of the text is a part."""
        lines = self.text.splitlines()
        self.parts = ["\n".join(lines[number::PARTS]) for number in range(PARTS)]
        self.next(self.count, foreach="parts")

    @retry(times=1, minutes_between_retries=0)
    @batch(cpu=1, memory=1024)
    @step
    def count(self):
        """A job for each part. The last one fails the first time, to show that it is tried again."""
        print(f"part {self.index}, attempt {current.retry_count}")
        if self.index == PARTS - 1 and current.retry_count == 0:
            raise RuntimeError("not today")
        self.counts = Counter(re.findall("[a-z]+", self.input.lower()))
        self.next(self.add)

    @batch(cpu=1, memory=1024)
    @step
    def add(self, inputs):
        """One more job, when all parts are counted."""
        self.counts = sum((part.counts for part in inputs), Counter())
        self.next(self.end)

    @step
    def end(self):
        for word, number in self.counts.most_common(5):
            print(f"{number:6} {word}")


if __name__ == "__main__":
    Words()
