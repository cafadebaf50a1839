"""What is said when the SDK of an interface is not installed."""

from __future__ import annotations


def missing(error: ModuleNotFoundError, extra: str) -> ModuleNotFoundError:
    """The error of an import, with what to do about it.

    Args:
        error: What the import raised.
        extra: The extra of the client that brings the module.
    """
    return ModuleNotFoundError(
        f"{error}; install the client with its extra: pip install 'qdispatch[{extra}]'",
        name=error.name,
    )
