"""Read MongoDB: the changes of the tasks' collection, and its documents as they were at a cluster time."""
