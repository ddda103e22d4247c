"""Files of every format as documents: one at a time, or a folder of them; what cannot be read is reported."""

from hybrid.corpus.files.columns import Columns
from hybrid.corpus.files.digest import digest_of
from hybrid.corpus.files.found import FoundFile
from hybrid.corpus.files.kinds import KINDS, VERSION, kind_of
from hybrid.corpus.files.reading import Reading, file_documents, read_file, read_folder, reason
from hybrid.corpus.files.report import PartNotes, ReadReport, Skipped, UnreadableError
from hybrid.corpus.files.selection import Selection
from hybrid.corpus.files.walk import walk

__all__ = [
    "KINDS", "VERSION", "Columns", "FoundFile", "PartNotes", "ReadReport", "Reading", "Selection", "Skipped",
    "UnreadableError", "digest_of", "file_documents", "kind_of", "read_file", "read_folder", "reason", "walk",
]  # fmt: skip
