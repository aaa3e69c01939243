"""Certificates of origin: proof that exact watt-hours came from one meter in one interval.

One unit is 1 Wh. A unit is issued once and retired once. What a neighbour bought is retired for
that neighbour in the very interval; the rest stays free for its producer, who can claim it on the
chain. The rules named R1 to R28 are listed in `docs/certificates.md`.
"""
