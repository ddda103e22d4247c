"""Services over HTTP: keys, retries, rate limits (`hybrid.remote.service` sends requests)."""

from hybrid.remote.limiter import Limits
from hybrid.remote.retrying import Retries
from hybrid.remote.secrets import Secret

__all__ = ["Secret", "Retries", "Limits"]
