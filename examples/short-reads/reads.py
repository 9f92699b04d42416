#!/usr/bin/env python3
"""Short reads of a small genome: made up (`make`), aligned in parts by the children of an array, judged (`judge`).

The genome is random, but for a stretch that it has twice, as real ones do; so are the places that reads come from. Each
read's name says where that is, so that in the end everybody can see how often the alignment is right. bwa and samtools
do the work.
"""

import os
import random
import subprocess
import sys
from pathlib import Path

BASES, READS, LENGTH, PARTS = 100_000, 8_000, 100, 4
ERRORS = 0.01  # of the bases read
TWICE = slice(20_000, 22_000), slice(70_000, 72_000)
SURE = 20  # mapping quality, in decibels of doubt
NEAR = 5  # bases: so far from where it comes from a read may be aligned and still be right
BACK = str.maketrans("ACGT", "TGCA")


def make(out: Path) -> None:
    """genome.fa with bwa's index of it, and reads.0.fq to reads.3.fq."""
    chance = random.Random(1)
    bases = chance.choices("ACGT", k=BASES)
    bases[TWICE[1]] = bases[TWICE[0]]
    genome = "".join(bases)
    (out / "genome.fa").write_text(f">random\n{genome}\n")
    for part in range(PARTS):
        with (out / f"reads.{part}.fq").open("w") as file:
            for _ in range(READS // PARTS):
                at = chance.randrange(BASES - LENGTH)
                read = "".join(
                    chance.choice("ACGT") if chance.random() < ERRORS else base for base in genome[at : at + LENGTH]
                )
                if chance.random() < 0.5:
                    read = read[::-1].translate(BACK)
                file.write(f"@from:{at + 1}\n{read}\n+\n{'I' * LENGTH}\n")
    _run("bwa", "index", out / "genome.fa")
    print(f"a genome of {BASES} bases, {READS} reads of {LENGTH}")


def align(out: Path) -> None:
    """One child's reads, aligned and sorted: part.0.bam is child 0's."""
    part = os.environ["AWS_BATCH_JOB_ARRAY_INDEX"]
    _run("bwa", "mem", "-o", out / f"part.{part}.sam", out / "genome.fa", out / f"reads.{part}.fq")
    _run("samtools", "sort", "-o", out / f"part.{part}.bam", out / f"part.{part}.sam")
    (out / f"part.{part}.sam").unlink()
    print(f"part {part} aligned")


def judge(out: Path) -> None:
    """All parts in one file, aligned.bam, with its index; and how many reads lie where they come from."""
    parts = [out / f"part.{part}.bam" for part in range(PARTS)]
    _run("samtools", "merge", "-f", out / "aligned.bam", *parts)
    _run("samtools", "index", out / "aligned.bam")
    found = right = sure = surely_right = 0
    for line in _run("samtools", "view", "-F", "0x904", out / "aligned.bam").splitlines():  # mapped, each read once
        name, _, _, at, quality = line.split("\t")[:5]
        is_right, is_sure = abs(int(name.removeprefix("from:")) - int(at)) <= NEAR, int(quality) >= SURE
        found, right = found + 1, right + is_right
        sure, surely_right = sure + is_sure, surely_right + (is_right and is_sure)
    print(f"{found} of {READS} reads aligned, {right} where they come from")
    print(f"bwa is sure of {sure}, and of these {surely_right} are where they come from")
    depth = sum(int(line.split("\t")[2]) for line in _run("samtools", "depth", "-a", out / "aligned.bam").splitlines())
    print(f"each base is covered {depth / BASES:.1f} times")


def _run(*command: str | Path) -> str:
    """What it prints; what it complains of goes to the job's log when it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command[0]} {command[1]} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    {"make": make, "align": align, "judge": judge}[sys.argv[1]](Path(sys.argv[2]))
