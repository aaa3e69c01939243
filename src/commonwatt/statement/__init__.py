"""Everything that happened in one community and interval, under one hash.

`close` is the pure function at the heart of Commonwatt: records, standing orders, rules and the
previous statement in, a `Statement` out. `header` and `leaves` lay it out in bytes; `proof` shows
one leaf to somebody who has only the anchor; `publication` says who gets to see what.
"""
