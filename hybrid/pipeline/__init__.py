"""The pipeline as a value, and recipes: pipelines as TOML."""

from hybrid.pipeline.pipeline import Pipeline
from hybrid.pipeline.recipe import (
    format_recipe,
    from_dict,
    from_stored,
    parse_recipe,
    read_recipe,
    to_dict,
    write_recipe,
)

__all__ = [
    "Pipeline", "format_recipe", "from_dict", "from_stored", "parse_recipe", "read_recipe", "to_dict",
    "write_recipe",
]  # fmt: skip
