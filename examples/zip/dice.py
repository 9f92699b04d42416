#!/usr/bin/env python3
"""A share of an array throws two dice N times and tells how often they showed seven."""

import os
import random
import sys

throws = int(sys.argv[1])
share = int(os.environ.get("AWS_BATCH_JOB_ARRAY_INDEX", 0))
dice = random.Random(share)
sevens = sum(dice.randint(1, 6) + dice.randint(1, 6) == 7 for _ in range(throws))
print(f"share {share}: {sevens} of {throws}")
