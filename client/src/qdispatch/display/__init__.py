"""How jobs, batches, results and targets show themselves: in a terminal, and in a notebook."""
