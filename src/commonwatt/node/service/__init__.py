"""The node as a service: one or many communities, kept day and night.

| module | knows |
|---|---|
| `settings` | the node's file and its communities' files |
| `members` | a community's file: who takes part, which meters, which prices |
| `clock` | the system's time, or time that the records themselves drive |
| `hosted` | one community at work: takes records in, answers what it knows |
| `keeper` | closes a community's intervals in time, and settles them |
| `events` | what happened, with replay |
| `service` | all of it, started and stopped |
"""
