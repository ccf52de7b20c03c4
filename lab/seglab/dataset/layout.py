"""Where a dataset's files are.

manifest.json  SHA256SUMS  README.md  croissant.json
data/train-00000.parquet  data/validation-00000.parquet  data/test-00000.parquet  ...
wire/00000.zip  ...
shards/00000.json  ...
building/00000/  (while a shard is built)
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
DATASHEET = "README.md"
CROISSANT = "croissant.json"


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of a dataset in ``path``."""

    path: Path

    def data(self, part: str, shard: int) -> Path:
        """The rows of one part in one shard."""
        return self.path / "data" / f"{part}-{shard:05}.parquet"

    def wire(self, shard: int) -> Path:
        """The captures of a shard, in one archive."""
        return self.path / "wire" / f"{shard:05}.zip"

    def result(self, shard: int) -> Path:
        """The shard's own description, written last."""
        return self.path / "shards" / f"{shard:05}.json"

    def work(self, shard: int) -> Path:
        """Where a shard is while it is built."""
        return self.path / "building" / f"{shard:05}"

    @property
    def manifest(self) -> Path:
        """What the dataset is, and all of its files."""
        return self.path / MANIFEST

    @property
    def sums(self) -> Path:
        """Every file's SHA-256, as ``sha256sum --check`` takes them."""
        return self.path / SUMS

    @property
    def datasheet(self) -> Path:
        """The dataset explained."""
        return self.path / DATASHEET

    @property
    def croissant(self) -> Path:
        """The dataset's metadata for machines."""
        return self.path / CROISSANT

    def name(self, path: Path) -> str:
        """A file's name within the dataset."""
        return path.relative_to(self.path).as_posix()

    def make_folders(self, shard: int) -> None:
        """Make those in which a shard is built."""
        for folder in ("data", "wire", "shards"):
            (self.path / folder).mkdir(parents=True, exist_ok=True)
        (self.work(shard) / "wire").mkdir(parents=True, exist_ok=True)

    def leave_building(self) -> None:
        """Remove what was needed for building only."""
        shutil.rmtree(self.path / "building", ignore_errors=True)
