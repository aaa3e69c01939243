"""The figures of one machine beside their targets: `python -m bench` from the repository's root.

Nothing here is a test: it always exits with 0 and marks what misses its target. What is measured
runs in child processes, so that no figure pays for another one's imports, memory or caches.

| module | measures |
|---|---|
| `day` | the suburb's day: `commonwatt demo`, `commonwatt audit`, `commonwatt --help` |
| `recompute` | the audit alone, inside a process that has everything loaded (a child) |
| `signatures` | batch verification against the bare curve operation (a child) |
| `gas` | `close`, `claim` and `claim_run`, and the contracts' sizes (a child) |
| `market` | auctions at all sizes beside their yardsticks, preference rounds, allocation keys |
| `auctions`, `allocation` | one rule, one key (children) |
| `books` | seeded books of orders |
| `yardstick` | sort and sweep in plain Python |
| `peer`, `in_pymarket` | pymarket on the same books, in an environment of its own (a child) |
| `restart` | opening ten days' journal, after a clean close and after a kill |
| `reopen`, `crash` | the restart itself, and the kill before it (children) |
| `community` | communities on an embedded chain that close made-up intervals |
| `generator` | a roof in one of them that is certified and claims |
| `node_load` | a node as processes: records over HTTP, closes, two workers, people who look |
| `node_quarter_hour` | 100,000 meters' quarter hour, with `--large` only |
| `node_process` | `commonwatt serve`, its CPU time and memory |
| `node_town`, `node_sender`, `node_pollers` | its directory, its meters, its guests (children) |
| `child`, `figure`, `table` | running and measuring a process; a result; the table |
"""
