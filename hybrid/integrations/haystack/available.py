"""Haystack is installed, or importing this says how to install it."""

from hybrid.integrations.needed import require

require("haystack", "haystack-ai", "haystack")
