"""Recompute everything from what was published and what the chain says, and compare.

An audit needs no node: a hash, a curve, a decoder. It closes every interval again from the
published records, writes every published file again, and names the first byte that differs by
interval and leaf. The chain is asked for facts only: who joined, what was paid in and out, which
anchors were closed, and where the lanes stand.
"""
