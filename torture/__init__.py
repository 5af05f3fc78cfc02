"""What wsrec is put through before it is trusted: ``python -m torture``, or ``make torture``.

Each part is a module with one function, ``findings(seed, effort, folder)``. ``effort`` is 1.0 for the whole of it and
less for the short form that the tests run; whatever is drawn is drawn from ``seed`` alone.
"""
