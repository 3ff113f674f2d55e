"""Documents into nodes: units small enough for the embedder, cut where the structure allows."""
