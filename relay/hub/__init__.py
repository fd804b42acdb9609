"""The hub: it sends each change to the listeners (connections) that have subscribed to its task or to the list and may
see the task."""
