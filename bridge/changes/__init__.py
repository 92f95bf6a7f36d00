"""What changed between the posts a site has and the entries found now. Pure.

`keys` folds entries until only real differences are left, `matching` says which entry is which post, and
`judge` what is new, edited, gone, and what has to wait for the owner.
"""
