"""Does a ledger keep its promises? The checks of `tollhouse ledger verify`, apart from all that writes a ledger.

`run.verify` walks a snapshot of the database and returns a `report.Report`. Nothing here is shared with the writer but
the text of the tables (`stores.schema`): balances, budgets' windows and prices are worked out again, in plain SQL and
exact arithmetic, from what the rows say.
"""
