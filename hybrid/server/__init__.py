"""The HTTP server, its client and its page. Importing this loads neither a web framework nor a client's."""

from hybrid.server.client import AsyncClient, Client
from hybrid.server.keys import KeyRing, new_key
from hybrid.server.settings import Settings

__all__ = ["AsyncClient", "Client", "KeyRing", "Settings", "new_key"]
