"""What changed between the posts a site has and the entries found now. Pure.

`keys` folds entries until only real differences are left, `matching` says which entry is which post, `judge`
what is new, edited or gone (each a `change`), and `brake` what has to wait for the owner. `timing` says when
a change goes out, `missing` what it means that a page is not there.
"""
