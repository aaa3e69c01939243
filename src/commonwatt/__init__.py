"""Commonwatt: an open energy ledger.

Meters sign what they measure, neighbours trade it every quarter hour, sellers are paid the moment
the quarter hour closes, and every green watt-hour carries a certificate that anyone can check.

The package is built in floors; a floor imports only from floors below it:

====  =====================================================  ==================================
0     `quantity`, `merkle`, `errors`                         whole numbers, trees, the error tree
1     `meter`                                                records, registers, keys
2     `market`                                               clearing rules and prices
3     `settlement`                                           positions and payments
4     `certificate`                                          issue, retire, hold
5     `statement`                                            leaves, header, proofs
6     `audit`                                                recompute and compare
side  `microgrid`, `chain`                                   neighbourhoods; ledgers
7     `node`                                                 database, pipeline, wiring
8     `web`, `cli`                                           pages, commands
====  =====================================================  ==================================

Floors 0 to 6 do no input or output: the same input gives the same bytes on every machine.
"""

__version__ = "0.1.0"
