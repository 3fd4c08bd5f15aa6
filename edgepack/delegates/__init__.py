"""Which nodes of a file a delegate would take, from published lists, and in how many partitions."""
