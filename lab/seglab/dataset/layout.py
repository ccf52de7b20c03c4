"""Names the files of a dataset.

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
    """The paths of the files of a dataset whose folder is ``path``."""

    path: Path

    def data(self, part: str, shard: int) -> Path:
        """The rows of one part in one shard."""
        return self.path / "data" / f"{part}-{shard:05}.parquet"

    def wire(self, shard: int) -> Path:
        """The captures of a shard, in one archive."""
        return self.path / "wire" / f"{shard:05}.zip"

    def result(self, shard: int) -> Path:
        """The shard's description, which a builder writes last."""
        return self.path / "shards" / f"{shard:05}.json"

    def work(self, shard: int) -> Path:
        """The folder that holds a shard while it is built."""
        return self.path / "building" / f"{shard:05}"

    def journal(self, shard: int) -> Path:
        """What its builder knows of the sessions that have ended, a line for each."""
        return self.work(shard) / "sessions.jsonl"

    @property
    def manifest(self) -> Path:
        """The description of the dataset and of all its files."""
        return self.path / MANIFEST

    @property
    def sums(self) -> Path:
        """The SHA-256 of every file, in the form of ``sha256sum --check``."""
        return self.path / SUMS

    @property
    def datasheet(self) -> Path:
        """The datasheet."""
        return self.path / DATASHEET

    @property
    def croissant(self) -> Path:
        """The metadata for machines."""
        return self.path / CROISSANT

    def name(self, path: Path) -> str:
        """The name of a file inside the dataset."""
        return path.relative_to(self.path).as_posix()

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders that hold the files of shards."""
        return self.path / "data", self.path / "wire", self.path / "shards"

    def make_folders(self, shard: int) -> None:
        """Make the folders that a builder of the shard needs."""
        for folder in self.folders:
            folder.mkdir(parents=True, exist_ok=True)
        (self.work(shard) / "wire").mkdir(parents=True, exist_ok=True)

    def remove_building(self) -> None:
        """Remove the folder that only builders need."""
        shutil.rmtree(self.path / "building", ignore_errors=True)
