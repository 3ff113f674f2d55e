"""How results look in a terminal, one module a command. Whatever comes from data passes `plain` first."""
