"""Delivers: a delivery that is due → signed and POSTed → settled.

`deliverer` does it; `retry`, pure, turns an outcome into what happens next.
"""
