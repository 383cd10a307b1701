"""The files of the interactive pages: a style, and a script for each; page.py joins them."""
