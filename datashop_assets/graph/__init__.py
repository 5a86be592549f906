"""The graph itself: what a stage is, which there are, what of them is there, and making one."""
