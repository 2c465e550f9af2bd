"""A separate ROS graph for programs that pytest does not run.

Imports nothing that could start ROS.
"""

import contextlib
import pathlib
import random
import sys
from collections.abc import Iterator

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
from this_machine import keep_to_this_machine  # noqa: E402


@contextlib.contextmanager
def own_session() -> Iterator:
    """Yield a session (see harness.py) in a random domain, on this machine only."""
    domain = random.randint(1, 100)
    keep_to_this_machine(domain)
    from harness import Session

    session = Session(domain)
    try:
        yield session
    finally:
        session.close()
