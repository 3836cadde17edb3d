"""Mistakes that are planted in the product, and what finds them: a check that finds none proves nothing.

bug, edited    a mistake, by another value or by another source text
hunt           how long the simulation takes to find one; rounds: which named test does
in_*, on_*     the mistakes, by what they are in
"""
