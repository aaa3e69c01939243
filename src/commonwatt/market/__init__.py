"""How one interval's energy is matched and priced.

A `Book` holds what each member needs and offers, with limits; a rule turns a book into a
`Clearing`: trades at named prices, and nothing else. What a clearing leaves open falls to the
supplier. Rules are found by name in `rules.RULES`.
"""
