"""Tables: one file each. A Spec here says what a table `needs`, checks its own keys, and makes it.

`needs(plan)` gives its inputs by role and what else its recipe holds; `make(job)` the tidy numbers, the table in the
form to read, and the notes below it. Nothing heavy is imported at the top: the plan reads these files too.
"""
