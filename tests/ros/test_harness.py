"""What the tests of the graph stand on."""

from harness import LATCHED, Peer
from std_msgs.msg import Bool, Float32


def test_a_topic_may_have_another_type_in_the_next_test(ros_session):
    # Made beforehand: a new node takes so long that the one before has gone by then.
    peers = [Peer(ros_session) for _ in range(20)]
    for peer, message in zip(peers, [Bool(), Float32()] * 10):
        peer.node.create_publisher(type(message), "/in_turn", LATCHED).publish(message)
        # Fails if the subscription of the test before is still there, with its other type.
        peer.record(type(message), "/in_turn", LATCHED).wait()
        peer.close()
