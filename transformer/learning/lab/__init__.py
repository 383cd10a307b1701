"""Labs: one component with one mistake in it, seen through its loss curve, to find and mend.

A lab is a folder of its own: the component's whole source under a name that says nothing, the
curve beside that of the right one, and what to do. The folder is all there is of a lab: it is
mended when its file passes `transformer check`, and understood when the mistake is named.
"""
