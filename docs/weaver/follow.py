"""Follow: notice what is saved, by looking at files several times a second: that works with every editor and disk."""

import os
import time
from pathlib import Path


def files_below(paths):
    """Return the set of files that some paths are or contain, without hidden ones, backups and what Python compiled."""
    files = {path for path in paths if path.is_file()}
    for path in paths:
        for folder, folders, names in os.walk(path):  # it passes over what is just being removed
            folders[:] = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
            files |= {Path(folder, name) for name in names if not name.startswith(".") and not name.endswith("~")}
    return files


def follow(paths, interval=0.2):
    """Yield every `interval` seconds the set of files below some paths that were saved, added or removed."""

    def look():
        seen = {}
        for file in files_below(paths):
            try:
                status = file.stat()
            except OSError:  # it has just been removed
                continue
            seen[file] = (status.st_mtime_ns, status.st_size, status.st_ino)
        return seen

    before = look()
    while True:
        now = look()
        while now != before:  # an editor may need several moves to save a file: wait until it is done
            time.sleep(0.05)
            last, now = now, look()
            if last == now:
                break
        yield {file for file in before.keys() | now.keys() if before.get(file) != now.get(file)}
        before = now
        time.sleep(interval)
