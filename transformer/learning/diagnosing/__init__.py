"""What is wrong with code whose outcomes differ from ours, and which mistake it is."""
