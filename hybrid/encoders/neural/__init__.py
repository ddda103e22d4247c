"""Encoders that run a transformer with torch: BGE-M3, SPLADE, token vectors, and what they share."""
