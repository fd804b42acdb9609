"""The hub: it sends each change to the listeners that may see it and have subscribed."""
