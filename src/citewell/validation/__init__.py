"""From a draft to what may be shown: the deterministic judge, conflicts, outcomes."""
