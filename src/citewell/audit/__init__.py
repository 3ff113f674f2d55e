"""What happened in a run, from its journal alone, and whether that journal is whole."""
