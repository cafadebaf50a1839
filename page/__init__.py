"""The page: jobs, batches and targets to look at in a browser. It changes nothing."""
