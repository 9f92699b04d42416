"""A flow whose step would last for hours."""

import time

from metaflow import FlowSpec, batch, step


class Sleeper(FlowSpec):
    @batch(cpu=1, memory=512)
    @step
    def start(self):
        print("asleep")
        time.sleep(7200)
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Sleeper()
