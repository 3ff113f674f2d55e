"""How good is it: metrics, data sets, runs over them."""
