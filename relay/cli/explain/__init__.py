"""`relay explain`: why may a user see a task, or why not?

`run.py` asks the database, `user.py` says who asks and what the relay thinks of their token, `explanation.py` has the
answer, `report.py` prints it as text or as JSON, and `rules.py` makes the sentences about the visibility rules.
"""
