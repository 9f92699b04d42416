"""A slot's working directory: most short jobs leave it as they found it, and then the next job can have it.

Making and removing directories is what costs most on a journalling file system. So a slot keeps one ready under a name
of its own, shows it at the job's usual path, and gives it that name for good once the job has run for a moment or has
left something in it.
"""

from __future__ import annotations

import os
import stat

from batchyard.executors.runner.sandbox import Identity

MODE = 0o700
SCRATCH = "tmp"  # TMPDIR, inside


class Desk:
    """Directories in `work`, an open directory; made for `identity`."""

    def __init__(self, work: int, slot: str, identity: Identity):
        self._work = work
        self._spare = f".{slot}"
        self._identity = identity
        self.directory = -1  # of the spare, open while it can be given to a job
        self._kept = False

    def take(self) -> int:
        """A fresh working directory, open."""
        self._kept = False
        if self.directory < 0:
            os.mkdir(self._spare, MODE, dir_fd=self._work)
            self.directory = os.open(self._spare, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._work)
            os.mkdir(SCRATCH, MODE, dir_fd=self.directory)
            if self._identity.uid != os.geteuid():
                for path in (SCRATCH, "."):
                    os.chown(path, self._identity.uid, self._identity.gid, dir_fd=self.directory)
        return self.directory

    def keep(self, attempt: str) -> None:
        """From now on the directory is the attempt's, under its usual name on the machine as well."""
        if not self._kept and self.directory >= 0:
            self._kept = True
            os.rename(self._spare, attempt, src_dir_fd=self._work, dst_dir_fd=self._work)

    def leave(self, attempt: str) -> None:
        """The job is over and out of it: what it left something in stays, what it did not goes or serves again."""
        if self.directory < 0:
            return
        untouched = self._untouched()
        if untouched and not self._kept:
            return
        self.keep(attempt)
        if untouched:
            for path, base in ((SCRATCH, self.directory), (attempt, self._work)):
                os.rmdir(path, dir_fd=base)
        os.close(self.directory)
        self.directory = -1

    def _untouched(self) -> bool:
        """Empty, and with the mode and owner it was made with."""
        try:
            for path, names in ((".", [SCRATCH]), (SCRATCH, [])):
                about = os.stat(path, dir_fd=self.directory, follow_symlinks=False)
                if stat.S_IMODE(about.st_mode) != MODE or about.st_uid != self._identity.uid:
                    return False
                descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.directory)
                try:
                    if os.listdir(descriptor) != names:
                        return False
                finally:
                    os.close(descriptor)
        except OSError:
            return False
        return True
