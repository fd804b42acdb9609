"""`relay check`: will this database and this mapping work?

`run.py` asks the topics of its list in their order. Each topic is a module of its own: `ask` asks the database, and
`judge`, which is pure, says what an answer means. Two topics depend on each other's answers, so they are asked first,
and `conclude` adds their findings later. A new topic is a module and a line in that list. `examination.py` has what the
topics share, `report.py` the findings and how they are printed.
"""
