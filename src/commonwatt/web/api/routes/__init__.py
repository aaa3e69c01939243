"""What answers, one module for each chapter of the table in `table.py`."""
