"""Turn batches of changes into steps, in the order of the stream: `pump.py`, with a cache of tasks in `cache.py`."""
