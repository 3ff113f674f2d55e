"""The command line: parses, calls the engine, shows. Nothing is decided here that a library user would miss."""
