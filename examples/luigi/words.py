"""The commonest words of a text, counted in parts on AWS Batch: `... --module words Commonest --text FILE`."""

from collections import Counter
from pathlib import Path

import luigi
from luigi.contrib.batch import BatchTask

PARTS = 3


class Count(BatchTask):
    """A job for each part; the definition says what it runs."""

    text = luigi.Parameter()
    part = luigi.IntParameter()
    job_definition = "words"
    poll_time = 1

    def output(self):
        return luigi.LocalTarget(Path("counts", str(self.part)).absolute())

    @property
    def parameters(self):
        self.output().makedirs()
        return {"text": str(Path(self.text).absolute()), "part": str(self.part), "counts": self.output().path}


class Commonest(luigi.Task):
    """Here: when all parts are counted."""

    text = luigi.Parameter()

    def requires(self):
        return [Count(text=self.text, part=part) for part in range(PARTS)]

    def output(self):
        return luigi.LocalTarget("commonest")

    def run(self):
        counts = Counter()
        for part in self.input():
            for line in part.open():
                number, word = line.split()
                counts[word] += int(number)
        with self.output().open("w") as file:
            file.writelines(f"{number:6} {word}\n" for word, number in counts.most_common())
