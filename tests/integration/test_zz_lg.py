import logging
from tests.integration.test_gate import *


def test_a(connection):
    ask(connection, rule("expect_column_values_to_be_unique", column="n"))
    l = logging.getLogger("great_expectations.expectations.metrics.util")
    while l:
        print(repr(l), l.propagate, l.handlers)
        l = l.parent


def test_b(connection, caplog):
    l = logging.getLogger("great_expectations.expectations.metrics.util")
    while l:
        print(repr(l), l.propagate, l.handlers)
        l = l.parent
    assert 0
