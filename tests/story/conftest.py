"""What the tests of the story share."""

import pytest
from story.made import Made


@pytest.fixture
def made() -> Made:
    return Made()
