"""Home Assistant: each member that wants it finds its own figures there, by MQTT discovery.

| module | knows |
|---|---|
| `settings` | `home-assistant.toml`: whose figures go where |
| `sensors` | the sensors, and which figure each shows |
| `messages` | the messages that announce and remove them |
| `totals` | a member's figures, from its own published lines |
| `score` | the hourly score, from the book |
| `memory` | what is on the disk, so that no total ever falls |
| `feed` | all of it, after every closed interval |
"""
