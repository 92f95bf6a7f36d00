"""Delivers: a delivery that is due → signed and POSTed → settled.

`deliverer` does it; `retry`, pure, turns an outcome into what happens next; `breaker` learns from it how a
host fares, and leaves one alone for a while that does not answer.
"""
