"""A ROS graph of one's own, for programs that are not run by pytest. Imports nothing that might start ROS."""

import contextlib
import pathlib
import random
import sys
from collections.abc import Iterator

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
from this_machine import keep_to_this_machine  # noqa: E402


@contextlib.contextmanager
def own_session() -> Iterator:
    """A session (see harness.py) in a domain picked at random, on this machine alone."""
    domain = random.randint(1, 100)
    keep_to_this_machine(domain)
    from harness import Session

    session = Session(domain)
    try:
        yield session
    finally:
        session.close()
