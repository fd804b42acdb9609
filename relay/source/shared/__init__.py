"""One change stream for many processes: one process follows it and passes its entries on to the others."""
