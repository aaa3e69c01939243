"""How one interval's energy is matched, shared and priced.

A community writes down its market as `settings`; `charter` checks them. `clearing.clear` makes a
`Clearing` of a `Book`, which holds what each member needs and offers: contracts first, then an
auction or a price with an allocation key. What a clearing leaves open falls to the supplier.

`auction` clears an order book by itself, `share` deals out a pool, `price` finds a community price:
columns of whole numbers in, columns out, for research and the command line as for a community.
"""
