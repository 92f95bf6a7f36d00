"""What the bridge can do, measured on the machine at hand, each figure beside its anchor.

An anchor is the same work done by the barest thing that can do it (a loop without a queue, nginx, one
signature after the other), measured in the same minute: a ratio survives a change of machine.
"""
