"""Hybrid retrieval: BM25 and dense search over one collection, fused exactly and explained."""

from hybrid.batches import DenseBatch, Encoded, SparseBatch, TokenBatch
from hybrid.branches import (
    BM25,
    HNSW,
    IVF,
    PQ,
    SQ8,
    Binary,
    Branch,
    Dense,
    Flat,
    LuceneBM25,
    LuceneImpact,
    Multivector,
    RaBitQ,
    Scan,
    Sparse,
    Tiered,
)
from hybrid.branches.bm25 import FieldWeights
from hybrid.branches.feedback import RM3
from hybrid.branches.passages import Passages
from hybrid.corpus import Columns, Reading, ReadReport, Skipped, read, read_export, read_qrels, read_queries
from hybrid.encoders import load as load_encoder
from hybrid.encoders import register as register_encoder
from hybrid.encoders.caching import EmbeddingCache, RedisCache, SQLiteCache
from hybrid.engine import (
    BranchPart,
    Explanation,
    Finding,
    Hit,
    HybridIndex,
    Limits,
    PassageHit,
    Repair,
    Result,
    Retrieved,
    StagePart,
    Stats,
    SyncReport,
    Verification,
    create,
    open,
    repair,
    restore,
    sync,
    verify,
    watch,
)
from hybrid.errors import (
    BranchError,
    ConflictError,
    CorpusError,
    CorruptIndexError,
    CursorError,
    DocumentError,
    DuplicateIdError,
    EncoderError,
    FilterError,
    FingerprintError,
    FormatError,
    HybridError,
    IndexExistsError,
    IndexLockedError,
    InputError,
    LimitError,
    MissingDependencyError,
    NotAnIndexError,
    NotFoundError,
    PartialEncodingError,
    PipelineError,
    ReadOnlyError,
    RemoteError,
    StorageError,
)
from hybrid.fusion import (
    DBSF,
    L2,
    RRF,
    TM2C2,
    CombMAX,
    CombMNZ,
    CombSUM,
    Fusion,
    MinMax,
    Raw,
    Weighted,
    ZScore,
)
from hybrid.index import MergePolicy
from hybrid.observing import OpenTelemetry, Prometheus, observe
from hybrid.pipeline import Pipeline, format_recipe, parse_recipe, read_recipe, write_recipe
from hybrid.remote import Secret
from hybrid.rerankers import MMR, MaxSim, Neighbours, Parents, Rerank
from hybrid.rerankers import load as load_reranker
from hybrid.rerankers import register as register_reranker
from hybrid.rewriting import HyDE, MultiQuery
from hybrid.text import Analyzer, Cleaning, analyzer, analyzer_names
from hybrid.text.chunking import (
    Code,
    Fixed,
    Headings,
    Nested,
    Recursive,
    Semantic,
    Sentences,
    Words,
    split,
)
from hybrid.text.duplicates import Duplicate, NearDuplicates
from hybrid.types import (
    DenseEncoder,
    Document,
    Encoder,
    JointEncoder,
    JudgingReranker,
    Query,
    Reranker,
    SparseEncoder,
    TermMatch,
    TokenEncoder,
)
from hybrid.version import __version__

__all__ = [
    # an index
    "create", "open", "restore", "HybridIndex", "Stats", "sync", "watch", "SyncReport",
    "MergePolicy", "Limits",
    "verify", "Verification", "Finding", "repair", "Repair",
    "observe", "Prometheus", "OpenTelemetry",
    # documents and queries
    "read", "Reading", "ReadReport", "Skipped", "Columns", "read_export", "read_queries", "read_qrels",
    "Document", "Query",
    "NearDuplicates", "Duplicate",
    "split", "Passages", "Recursive", "Headings", "Sentences", "Fixed", "Code", "Semantic", "Nested", "Words",
    # results
    "Result", "Hit", "PassageHit", "Retrieved", "Explanation", "BranchPart", "StagePart", "TermMatch",
    # pipelines
    "Pipeline", "read_recipe", "write_recipe", "parse_recipe", "format_recipe",
    "Branch", "BM25", "FieldWeights", "RM3", "HyDE", "MultiQuery",
    "Sparse", "Dense", "Multivector", "LuceneBM25", "LuceneImpact",
    "Analyzer", "analyzer", "analyzer_names", "Cleaning",
    "Flat", "Scan", "Tiered", "HNSW", "IVF", "SQ8", "PQ", "RaBitQ", "Binary",
    "Fusion", "Weighted", "RRF", "CombSUM", "CombMNZ", "CombMAX",
    "TM2C2", "MinMax", "ZScore", "DBSF", "L2", "Raw",
    "Rerank", "MaxSim", "Neighbours", "Parents", "MMR", "Reranker", "JudgingReranker",
    "load_reranker", "register_reranker",
    # encoders
    "load_encoder", "register_encoder",
    "Encoder", "DenseEncoder", "SparseEncoder", "TokenEncoder", "JointEncoder",
    "Encoded", "DenseBatch", "SparseBatch", "TokenBatch",
    "EmbeddingCache", "SQLiteCache", "RedisCache", "Secret",
    # errors
    "HybridError", "InputError", "DocumentError", "DuplicateIdError", "CorpusError", "FilterError",
    "PipelineError", "NotFoundError", "ConflictError", "CursorError", "LimitError",
    "EncoderError", "FingerprintError", "RemoteError",
    "PartialEncodingError", "BranchError", "StorageError",
    "NotAnIndexError", "IndexExistsError", "FormatError", "CorruptIndexError", "IndexLockedError",
    "ReadOnlyError", "MissingDependencyError",
    "__version__",
]  # fmt: skip
