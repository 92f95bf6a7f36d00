"""A follower's server in miniature, for `fedibridge demo`: a real peer on loopback, with a timeline."""
