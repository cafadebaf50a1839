"""Hostile input by the million: requests against the real server, bytes against every parser."""
