"""From trades and readings to one signed amount per member, all of which sum to zero."""
