"""A follower's server in miniature, for `bridge demo`: a real peer on loopback with a timeline to look at."""
