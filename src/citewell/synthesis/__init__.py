"""From a question and hits to a draft: understanding, packing, and the two writers."""
