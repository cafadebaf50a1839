"""What qdispatch is held against, each in processes of its own."""
