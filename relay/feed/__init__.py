"""Turn batches of changes into steps (messages, and the task after each change), in the order of the stream.

`pump.py` does the work; `cache.py` keeps the tasks that changed lately.
"""
