"""Citewell: answers from your own documents, each sentence cited and checked."""
