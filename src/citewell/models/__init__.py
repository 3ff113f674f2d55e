"""Models behind one protocol each: what turns texts into vectors, here or at an endpoint."""
