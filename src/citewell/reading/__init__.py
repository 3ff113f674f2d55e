"""Bytes become documents: finding sources, telling what they are, and one reader a format. Nothing heavy is loaded."""
