"""A gateway: it signs for meters that cannot, and vouches for what it read.

It reads a meter's registers, works out what they said at each interval's end, and signs one record
for it with a key of its own. A record is on the disk before it leaves, and stays there until the
node has answered it: a gateway may be killed, cut off for days, or told the same answer twice, and
still every record arrives once and in order. Energy is never guessed: where nothing was read, no
record is made, and the next one carries the energy in its registers.

| module | knows |
|---|---|
| `settings` | `gateway.toml`: which meters, read from where, sent to whom |
| `key_file` | private keys in files |
| `registers` | what two readings say of the interval's end between them |
| `clock` | whether the machine's clock can be believed |
| `spool`, `spool_tables` | records on the disk until they are answered |
| `delivered` | what the node has, as long as it may be corrected; corrections that wait |
| `exchanges` | exchanged devices: what is added to a meter's registers |
| `restate` | what people say: an exchanged device, what a record should have said |
| `signing` | from readings to records in the spool |
| `sources` | serial lines, sockets, brokers, folders |
| `feed` | a driver on a source, and the meters read there |
| `answers` | what a node says to records |
| `link`, `http_link`, `mqtt_link` | the ways to a node |
| `backoff` | how long to wait before trying again |
| `delivery` | the spool's records on their way, in order |
| `new_meter`, `first_reading` | a meter's beginning: key, opening record, what its operator needs |
| `gateway` | all of it, running |
| `overview` | what there is and what waits |
| `simulation` | a scenario's meters, for trying a node |
"""
