"""What meters say and how it is believed.

A meter counts energy in (import) and out (export) at one point, and once per interval signs a
`Record` of its two cumulative registers with its P-256 key. `acceptance` decides, record by
record, whether a community may count on it; `keys` signs and verifies.
"""
