"""The services that launch_ros and ros2component name when they are imported."""


class LoadNode:
    class Request:
        pass

    class Response:
        pass


class UnloadNode:
    pass


class ListNodes:
    pass
