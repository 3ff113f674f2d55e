"""Rows that can be searched: exact dense and BM25 indexes under one visibility mask, derived from the store."""
