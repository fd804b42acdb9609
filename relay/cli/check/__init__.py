"""`relay check`: will this database and this mapping work? Questions asked, answers judged, a report."""
