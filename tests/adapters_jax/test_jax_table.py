"""What the documentation promises is what the tests say."""

import tables


def test_the_documentation_shows_the_rows_of_the_tests(request):
    tables.compare(request)
