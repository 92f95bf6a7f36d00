"""Receives: a stored arrival → whose is it? → verified → its effect, once.

`receiver` fetches keys and verifies, `registrar` looks again at actors who changed or seem to be gone;
`admission` says where an actor may be reached; `effects` has a function per type, with what of ours it names
in `incoming`. `authorizations` are our word that a quote is welcome.
"""
