"""MQTT: what goes to a node and comes from it through a broker.

| module | knows |
|---|---|
| `client` | a broker's address; a connection for whoever only listens and speaks |
| `connection` | a standing connection whose messages are acknowledged when they are safe |
| `topics` | which topic says what |
| `limits` | what one broker may bring at once |
| `batch` | a message's payload as records, and what is answered to it |
| `intake` | records in, answers out |
| `acl` | who may see and say what at the broker |
| `home` | members' figures to Home Assistant |
"""
