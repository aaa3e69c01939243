"""What people look at: pages for residents, drawn on the server, that need nothing from elsewhere.

`report` makes the one-file report of a finished run.
"""
