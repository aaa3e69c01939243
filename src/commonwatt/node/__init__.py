"""The node: takes records in, closes intervals, anchors and pays, publishes.

A node may die at any instruction. What it acknowledged is in its database, every step can be done
again without doing anything twice, and the chain refuses to close an interval a second time.
"""
