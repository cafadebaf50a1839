"""How the world talks to the service."""
