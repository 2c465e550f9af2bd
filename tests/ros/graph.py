"""A ROS graph of one's own, for programs that are not run by pytest. Imports nothing that might start ROS."""

import contextlib
import os
import random
from collections.abc import Iterator


@contextlib.contextmanager
def own_session() -> Iterator:
    """A session (see harness.py) in a domain picked at random, on this machine alone."""
    domain = random.randint(1, 100)
    os.environ.update(ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST", ROS_DOMAIN_ID=str(domain))
    for name in ("ROS_LOCALHOST_ONLY", "ROS_STATIC_PEERS"):
        os.environ.pop(name, None)
    from harness import Session

    session = Session(domain)
    try:
        yield session
    finally:
        session.close()
